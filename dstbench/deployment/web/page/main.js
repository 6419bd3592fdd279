// Brings the parts together: a picture in, classes, time and drawing out.

const one = (id) => document.getElementById(id);
const data = JSON.parse(one("data").textContent);
const { shape, classes, dots, lines } = data;
const engine = await startEngine(data).catch((error) => {
  one("verdict").textContent = `This browser cannot run the network, which needs WebAssembly with SIMD: ${error.message}`;
  throw error;
});
const view = makeView(one("view"), data, showCard);
const samples = [...document.querySelectorAll("#samples button")];
let probabilities = [], logits = [], timing;

// — classes —

const rows = classes.map((name) => {
  const row = document.createElement("li"), bar = document.createElement("span");
  const label = document.createElement("span"), number = document.createElement("span");
  label.textContent = label.title = name;
  bar.className = "bar";
  bar.append(document.createElement("i"));
  row.append(label, bar, number);
  return row;
});

function showClasses(label) {
  const most = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((a, b) => a + b, 0);
  probabilities = powers.map((power) => power / total);
  const order = classes.map((_, i) => i).sort((a, b) => logits[b] - logits[a]);
  const shown = classes.length > 10 ? order.slice(0, 10) : classes.map((_, i) => i);
  one("bars").replaceChildren(...shown.map((i) => rows[i]));
  rows.forEach((row, i) => {
    row.classList.toggle("first", i === order[0]);
    row.classList.toggle("true", i === label);
    row.querySelector("i").style.transform = `scaleX(${probabilities[i]})`;
    row.lastChild.textContent = percent(probabilities[i]);
  });
  const verdict = one("verdict"), note = document.createElement("small");
  verdict.textContent = `${classes[order[0]]}, ${percent(probabilities[order[0]])}`;
  if (label !== undefined) {
    const right = label === order[0];
    note.className = right ? "right" : "wrong";
    note.textContent = right ? "right" : `labelled ${classes[label]}`;
    verdict.append(note);
  }
  return order[0];
}

const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

function duration(milliseconds) {
  const micro = milliseconds * 1000;
  return micro < 1000 ? `${micro.toPrecision(micro < 100 ? 2 : 3)} µs` : `${milliseconds.toPrecision(3)} ms`;
}

// — pictures —

function run(picture, name, label) {
  const bytes = fit(picture, one("picture"), shape[0]);
  one("picture").setAttribute("aria-label", `What the network sees of ${name}`);
  logits = [...engine.infer(bytes)];
  document.body.dataset.logits = JSON.stringify(logits); // for programs that open this page
  const best = showClasses(label);
  const activity = activityOf(engine.planes, data);
  const largest = Math.max(...probabilities); // a logit is as strong as its class is probable
  probabilities.forEach((p, i) => (activity.tone[dots.column.length - classes.length + i] = Math.sqrt(p / largest)));
  view.light(activity, bytes, best);
  clearTimeout(timing);
  timing = setTimeout(() => {
    const { milliseconds, calls } = medianTime(() => engine.infer(bytes));
    one("time").textContent = duration(milliseconds);
    one("calls").textContent = `in this browser: median, ${calls.toLocaleString("en")} calls`;
    document.body.dataset.milliseconds = milliseconds;
  }, 1200); // when the drawing has come to rest
}

function press(button) {
  for (const other of samples) other.setAttribute("aria-pressed", other === button);
}

samples.forEach((button) => button.addEventListener("click", () => {
  const image = button.querySelector("img");
  press(button);
  run(image, image.alt, Number(button.dataset.label));
}));

onPicture(one("file"), async (file) => {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    one("verdict").textContent = `${file.name}: no picture that this browser can read.`;
    return;
  }
  press(null);
  run(picture, file.name || "the picture");
});

// — the card of a dot —

function showCard(dot, place) {
  one("card").hidden = dot < 0;
  if (dot < 0) return;
  const activity = view.activity(), map = one("map");
  map.hidden = !activity || dots.height[dot] * dots.width[dot] === 1;
  if (!map.hidden) view.plane(map, dot);
  const [title, ...notes] = describe(dot, activity);
  const strong = document.createElement("strong");
  strong.textContent = title;
  one("described").replaceChildren(strong, ...notes.map((text) => {
    const line = document.createElement("span");
    line.textContent = text;
    return line;
  }));
  const card = one("card"), [wide, high] = [card.offsetWidth, card.offsetHeight];
  const { x, y, step, width, height, horizontal } = place;
  const away = Math.max(24, 2.4 * step); // leaves the neighbouring columns in sight
  const beside = (at, size, room) => (at + away + size <= room ? at + away : at - away - size);
  const left = horizontal ? beside(x, wide, width) : x - wide / 2;
  const top = horizontal ? y - high / 2 : beside(y, high, height);
  card.style.left = `${Math.max(0, Math.min(left, width - wide))}px`;
  card.style.top = `${Math.max(0, Math.min(top, height - high))}px`;
}

const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function describe(dot, activity) {
  const logit = dot - (dots.column.length - classes.length);
  const size = `${dots.height[dot]}×${dots.width[dot]}`;
  const read = view.linesOf[dot].filter((line) => lines.end[line] === dot);
  const readers = view.linesOf[dot].length - read.length;
  const weights = read.reduce((total, line) => total + lines.number[line], 0);
  const notes = [];
  if (logit >= 0) {
    if (activity) notes.push(`logit ${logits[logit].toPrecision(3)} · ${percent(probabilities[logit])}`);
    if (!read.length) notes.push("no weight leads here: it is constant");
  } else if (activity) {
    notes.push(`mean ${activity.mean[dot].toPrecision(3)} · largest ${activity.peak[dot].toPrecision(3)}`);
  }
  if (read.length) notes.push(`reads ${plural(read.length, "channel")}${weights ? `, ${plural(weights, "weight")}` : ""}`);
  if (readers) notes.push(`read by ${plural(readers, "channel")}`);
  if (logit >= 0) return [classes[logit], ...notes];
  if (dot < shape[0]) return [`${shape[0] === 3 ? ["Red", "Green", "Blue"][dot] : "Grey"} of the picture`, ...notes];
  return [`Channel of ${size}`, `step ${dots.column[dot]} of ${Math.max(...dots.column)}`, ...notes];
}

// — start —

const wanted = /^#image-(\d+)$/.exec(location.hash);
const first = samples[wanted ? Number(wanted[1]) : 0];
if (first) {
  await first.querySelector("img").decode();
  first.click();
}
