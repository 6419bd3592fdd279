// The drawing of the live network. Lines and dots are painted twice per image: faintly, and lit by
// its activity. A frame only copies these two, so that large networks move smoothly, too.

const SWEEP = 900; // milliseconds that an image takes to light the network
const TINTS = [[255, 70, 70], [60, 235, 110], [80, 140, 255]]; // of the image's channels
const DETAIL = 5; // side in pixels from which a dot shows its plane

function makeView(canvas, { dots, lines, shape, classes }, show) {
  const count = dots.column.length, edges = lines.start.length;
  const firstLogit = count - classes.length;
  const context = canvas.getContext("2d");
  const faint = document.createElement("canvas"), lit = document.createElement("canvas");
  const scratch = document.createElement("canvas");
  const typical = quantile(lines.size, 0.95) || 1;
  const widest = Math.max(0.9, Math.min(3.2, 90 / Math.sqrt(edges)));
  const linesOf = Array.from({ length: count }, () => []);
  for (let line = 0; line < edges; line++) {
    linesOf[lines.start[line]].push(line);
    linesOf[lines.end[line]].push(line);
  }
  let layout, colours, table, activity = null, selected = -1, started = -Infinity, scheduled = false;

  function resize() {
    const box = canvas.parentElement;
    const narrow = box.clientWidth < NARROW;
    layout = layOut(dots, box.clientWidth, box.clientHeight, labelRoom());
    box.style.height = narrow ? `${layout.height}px` : "";
    if (!narrow) layout = layOut(dots, box.clientWidth, box.clientHeight, labelRoom());
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const one of [canvas, faint, lit]) {
      one.width = Math.round(layout.width * ratio);
      one.height = Math.round(layout.height * ratio);
      one.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    recolour();
  }

  function recolour() {
    colours = readColours();
    table = ramp(colours);
    paint();
  }

  function paint() {
    paintFaint(faint.getContext("2d"));
    if (activity) paintLit(lit.getContext("2d"));
    request();
  }

  // — painting the two layers —

  function paintFaint(c) {
    c.clearRect(0, 0, layout.width, layout.height);
    paintBands(c);
    const alpha = Math.max(0.03, Math.min(0.16, 4 / Math.sqrt(edges)));
    strokeAll(c, () => alpha);
    for (let dot = 0; dot < count; dot++) shape_(c, dot, rgba(colours.zero), rgba(colours.edge));
  }

  function paintLit(c) {
    c.clearRect(0, 0, layout.width, layout.height);
    strokeAll(c, (line) => 0.04 + 0.86 * Math.sqrt(activity.line[line]));
    for (let dot = 0; dot < count; dot++) plane(c, dot);
  }

  function paintBands(c) {
    c.font = "11px system-ui, sans-serif";
    layout.bands.forEach(({ text, from, to }, i) => {
      c.fillStyle = rgba(colours.sunken, i % 2 ? 0.25 : 0.6);
      c.beginPath();
      if (layout.horizontal) c.roundRect(from + 1, 0, to - from - 2, layout.height, 8);
      else c.roundRect(0, from + 1, layout.width, to - from - 2, 8);
      c.fill();
      if (to - from < (layout.horizontal ? 22 : 12)) return;
      c.fillStyle = rgba(colours.soft);
      c.textAlign = layout.horizontal ? "center" : "left";
      c.textBaseline = "middle";
      if (layout.horizontal) c.fillText(text, (from + to) / 2, 14);
      else c.fillText(text, 6, (from + to) / 2);
    });
  }

  // Lines of one colour, strength and width are one path.
  function strokeAll(c, strength) {
    const paths = new Map();
    for (let line = 0; line < edges; line++) {
      const level = Math.round(strength(line) * 12), width = Math.round(thickness(line) * 4);
      if (level === 0 || width === 0) continue;
      const key = (hueOf(line) * 16 + level) * 64 + width;
      if (!paths.has(key)) paths.set(key, { path: new Path2D(), level, width, hue: hueOf(line) });
      curve(paths.get(key).path, line);
    }
    for (const { path, level, width, hue } of [...paths.values()].sort((a, b) => a.level - b.level)) {
      c.strokeStyle = rgba([colours.passed, colours.positive, colours.negative][hue], level / 12);
      c.lineWidth = width / 4;
      c.stroke(path);
    }
  }

  const hueOf = (line) => (lines.number[line] === 0 ? 0 : lines.weight[line] >= 0 ? 1 : 2);

  function thickness(line) {
    if (lines.number[line] === 0) return Math.max(0.5, widest * 0.3);
    return Math.max(0.25, widest * Math.min(1, Math.sqrt(lines.size[line] / typical)));
  }

  function curve(path, line) {
    const { x, y, side, horizontal } = layout, a = lines.start[line], b = lines.end[line];
    if (horizontal) {
      const from = x[a] + side[a] / 2, to = x[b] - side[b] / 2, bend = (to - from) * 0.45;
      path.moveTo(from, y[a]);
      path.bezierCurveTo(from + bend, y[a], to - bend, y[b], to, y[b]);
    } else {
      const from = y[a] + side[a] / 2, to = y[b] - side[b] / 2, bend = (to - from) * 0.45;
      path.moveTo(x[a], from);
      path.bezierCurveTo(x[a], from + bend, x[b], to - bend, x[b], to);
    }
  }

  function outline(c, dot, grow = 0) {
    const s = layout.side[dot] + grow, x = layout.x[dot], y = layout.y[dot];
    c.beginPath();
    if (s < DETAIL) c.arc(x, y, s / 2, 0, 7);
    else c.roundRect(x - s / 2, y - s / 2, s, s, Math.min(5, s / 4));
  }

  function shape_(c, dot, fill, stroke) {
    outline(c, dot);
    c.fillStyle = fill;
    c.fill();
    if (layout.side[dot] < DETAIL) return;
    c.lineWidth = 1;
    c.strokeStyle = stroke;
    c.stroke();
  }

  function plane(c, dot) {
    const s = layout.side[dot], x = layout.x[dot], y = layout.y[dot];
    if (s < DETAIL || dots.height[dot] * dots.width[dot] === 1) {
      const t = Math.round(255 * activity.tone[dot]) + 255;
      shape_(c, dot, rgba([...table.subarray(3 * t, 3 * t + 3)]), rgba(colours.edge));
      return;
    }
    drawPlane(scratch, dot);
    c.save();
    outline(c, dot);
    c.clip();
    c.imageSmoothingEnabled = s < scratch.width;
    c.drawImage(scratch, x - s / 2, y - s / 2, s, s);
    c.restore();
    outline(c, dot);
    c.lineWidth = 1;
    c.strokeStyle = rgba(colours.edge);
    c.stroke();
  }

  // Paints a dot's plane on a canvas, a pixel for each of its own.
  function drawPlane(target, dot, level = activity.level[dot]) {
    const [height, width] = [dots.height[dot], dots.width[dot]];
    [target.width, target.height] = [width, height];
    const c = target.getContext("2d"), image = c.createImageData(width, height), out = image.data;
    const from = Math.max(0, dots.offset[dot]);
    const pixels = activity.planes.subarray(from, from + height * width);
    const largest = activity.peak[dot] || 1;
    const tint = dot >= shape[0] ? null : shape[0] === 3 ? TINTS[dot] : [255, 255, 255];
    for (let i = 0; i < pixels.length; i++) {
      if (tint) {
        const byte = activity.bytes[i * shape[0] + dot] / 255;
        out.set([...tint.map((part) => part * byte), 255], 4 * i);
        continue;
      }
      const t = 255 + Math.round((255 * level * pixels[i]) / largest);
      out.set(table.subarray(3 * t, 3 * t + 3), 4 * i);
      out[4 * i + 3] = 255;
    }
    c.putImageData(image, 0, 0);
  }

  // — names of the classes beside the logits —

  const font = (bold) => `${bold ? "600 " : ""}12px system-ui, sans-serif`;

  function labelRoom() {
    context.font = font(true);
    return Math.min(110, Math.max(...classes.map((name) => context.measureText(name).width)) + 8);
  }

  function paintLabels(c, best) {
    const space = layout.spacing[dots.column[count - 1]];
    classes.forEach((text, name) => {
      if (space < 12 && name !== best) return;
      const dot = firstLogit + name, gap = layout.side[dot] / 2 + 7;
      c.save();
      c.font = font(name === best);
      c.textAlign = "left";
      c.textBaseline = "middle";
      c.translate(layout.x[dot], layout.y[dot]);
      if (!layout.horizontal) c.rotate(Math.PI / 2);
      c.fillStyle = rgba(name === best ? colours.ink : colours.soft);
      c.fillText(text, gap, 0, 110);
      c.restore();
    });
  }

  // — frames —

  function request() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame((now) => {
      scheduled = false;
      frame(now);
    });
  }

  function frame(now) {
    if (started === null) started = now;
    const progress = Math.min(1, (now - started) / SWEEP);
    context.clearRect(0, 0, layout.width, layout.height);
    const chosen = selected >= 0;
    copy(faint);
    if (activity) {
      context.globalAlpha = chosen ? 0.22 : 1;
      sweep(progress);
      context.globalAlpha = 1;
    }
    if (chosen) highlight(selected);
    paintLabels(context, progress > 0.85 && activity ? activity.best : -1);
    if (progress < 1) request();
  }

  const copy = (layer) => context.drawImage(layer, 0, 0, layout.width, layout.height);

  // The lit layer up to where the image has come, with a soft edge.
  function sweep(progress) {
    if (progress >= 1) return copy(lit);
    const length = layout.horizontal ? layout.width : layout.height;
    const soft = 60, slices = 8, alpha = context.globalAlpha;
    const front = progress * (length + soft) - soft;
    for (let i = 0; i <= slices; i++) {
      const from = i === 0 ? 0 : front + ((i - 1) * soft) / slices, to = front + (i * soft) / slices;
      context.save();
      context.beginPath();
      if (layout.horizontal) context.rect(from, 0, to - from, layout.height);
      else context.rect(0, from, layout.width, to - from);
      context.clip();
      context.globalAlpha = alpha * (1 - i / (slices + 1));
      copy(lit);
      context.restore();
    }
  }

  function highlight(dot) {
    for (const line of linesOf[dot]) {
      const path = new Path2D();
      curve(path, line);
      context.strokeStyle = rgba([colours.passed, colours.positive, colours.negative][hueOf(line)], 0.95);
      context.lineWidth = Math.max(1.2, thickness(line) * 1.3);
      context.stroke(path);
    }
    for (const line of linesOf[dot]) {
      for (const near of [lines.start[line], lines.end[line]]) {
        if (activity) plane(context, near);
        else shape_(context, near, rgba(colours.zero), rgba(colours.edge));
      }
    }
    if (activity) plane(context, dot);
    outline(context, dot, 3);
    context.lineWidth = 2;
    context.strokeStyle = rgba(colours.accent);
    context.stroke();
  }

  // — choosing a dot —

  function nearest(x, y) {
    let best = -1, distance = 14;
    for (let dot = 0; dot < count; dot++) {
      const away = Math.max(0, Math.hypot(layout.x[dot] - x, layout.y[dot] - y) - layout.side[dot] / 2);
      if (away < distance) [best, distance] = [dot, away];
    }
    return best;
  }

  const place = (dot) => dot < 0 ? null : ({ // for a card beside it
    ...layout, x: layout.x[dot], y: layout.y[dot],
  });

  function select(dot) {
    if (dot === selected) return;
    selected = dot;
    show(dot, place(dot));
    request();
  }

  function onKey(event) {
    const forward = layout.horizontal ? "ArrowRight" : "ArrowDown";
    const back = layout.horizontal ? "ArrowLeft" : "ArrowUp";
    const next = layout.horizontal ? "ArrowDown" : "ArrowRight";
    const previous = layout.horizontal ? "ArrowUp" : "ArrowLeft";
    if (event.key === "Escape") select(-1);
    else if (![forward, back, next, previous].includes(event.key)) return;
    else if (selected < 0) select(0);
    else if (event.key === forward) select(strongest(lines.start, lines.end));
    else if (event.key === back) select(strongest(lines.end, lines.start));
    else select(beside(event.key === next ? 1 : -1));
    event.preventDefault();
  }

  function strongest(here, there) {
    let best = selected, size = -1;
    for (const line of linesOf[selected]) {
      if (here[line] === selected && lines.size[line] > size) [best, size] = [there[line], lines.size[line]];
    }
    return best;
  }

  function beside(direction) {
    const same = [];
    for (let dot = 0; dot < count; dot++) if (dots.column[dot] === dots.column[selected]) same.push(dot);
    same.sort((a, b) => dots.place[a] - dots.place[b]);
    return same[Math.max(0, Math.min(same.length - 1, same.indexOf(selected) + direction))];
  }

  let pinned = false;
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch" && !pinned) select(nearest(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch" && !pinned) select(-1);
  });
  canvas.addEventListener("click", (event) => {
    const dot = nearest(event.offsetX, event.offsetY);
    pinned = dot >= 0 && !(pinned && dot === selected);
    select(pinned || event.pointerType !== "touch" ? dot : -1);
  });
  canvas.addEventListener("keydown", (event) => {
    pinned = false;
    onKey(event);
  });
  canvas.addEventListener("blur", () => !pinned && select(-1));

  new ResizeObserver(() => requestAnimationFrame(() => {
    const { clientWidth, clientHeight } = canvas.parentElement;
    if (!layout || clientWidth !== layout.width || Math.abs(clientHeight - layout.height) > 1) resize();
  })).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

  return {
    linesOf,
    drawPlane,
    activity: () => activity,
    // Lights the network by what an image did to it; see `activityOf`.
    light(now) {
      activity = now;
      if (!layout) resize();
      else paint();
      if (selected >= 0) show(selected, place(selected));
      started = matchMedia("(prefers-reduced-motion: reduce)").matches ? -Infinity : null;
      request();
    },
  };
}

function quantile(numbers, fraction) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(fraction * (sorted.length - 1))] ?? 0;
}
