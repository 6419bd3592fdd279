// Paints bands, lines, dots and names of classes on a canvas. `state` has the layout, the colours, the
// table of `ramp`, and the activity or null; they change between calls.

const DETAIL = 5; // side in pixels from which a dot shows its plane
const TINTS = [[255, 70, 70], [60, 235, 110], [80, 140, 255]]; // of the image's channels
const LEVELS = 12; // of strength that lines are painted with
const LONGEST_NAME = 110; // pixels

const classFont = (bold) => `${bold ? "600 " : ""}12px system-ui, sans-serif`;

function makePainter({ dots, lines, shape, classes }, state) {
  const count = dots.column.length, edges = lines.start.length;
  const typical = quantile(lines.size, 0.95) || 1;
  const widest = Math.max(0.9, Math.min(3.2, 90 / Math.sqrt(edges)));
  const scratch = document.createElement("canvas");

  function faint(c) {
    c.clearRect(0, 0, state.layout.width, state.layout.height);
    bandsOf(c);
    const alpha = Math.max(0.03, Math.min(0.16, 4 / Math.sqrt(edges)));
    strokeAll(c, () => alpha);
    for (let dot = 0; dot < count; dot++) emptyDot(c, dot);
  }

  function lit(c) {
    c.clearRect(0, 0, state.layout.width, state.layout.height);
    strokeAll(c, (line) => 0.04 + 0.86 * Math.sqrt(state.activity.line[line]));
    for (let dot = 0; dot < count; dot++) litDot(c, dot);
  }

  function bandsOf(c) {
    const { horizontal, width, height, bands } = state.layout;
    c.font = "11px system-ui, sans-serif";
    c.textAlign = horizontal ? "center" : "left";
    c.textBaseline = "middle";
    bands.forEach(({ text, from, to }, i) => {
      c.fillStyle = rgba(state.colours.sunken, i % 2 ? 0.25 : 0.6);
      c.beginPath();
      if (horizontal) c.roundRect(from + 1, 0, to - from - 2, height, 8);
      else c.roundRect(0, from + 1, width, to - from - 2, 8);
      c.fill();
      if (to - from < (horizontal ? 22 : 12)) return;
      c.fillStyle = rgba(state.colours.soft);
      if (horizontal) c.fillText(text, (from + to) / 2, 14);
      else c.fillText(text, 6, (from + to) / 2);
    });
  }

  // — lines —

  // Lines of one colour, strength and width are one path.
  function strokeAll(c, strength) {
    const paths = new Map();
    for (let line = 0; line < edges; line++) {
      const level = Math.round(strength(line) * LEVELS), width = Math.round(thickness(line) * 4);
      if (level === 0 || width === 0) continue;
      const key = `${kind(line)} ${level} ${width}`;
      if (!paths.has(key)) paths.set(key, { path: new Path2D(), level, width, hue: hue(line) });
      curve(paths.get(key).path, line);
    }
    for (const { path, level, width, hue } of [...paths.values()].sort((a, b) => a.level - b.level)) {
      c.strokeStyle = rgba(hue, level / LEVELS);
      c.lineWidth = width / 4;
      c.stroke(path);
    }
  }

  function strokeOne(c, line) {
    const path = new Path2D();
    curve(path, line);
    c.strokeStyle = rgba(hue(line), 0.95);
    c.lineWidth = Math.max(1.2, thickness(line) * 1.3);
    c.stroke(path);
  }

  const kind = (line) => (lines.number[line] === 0 ? "passed" : lines.weight[line] >= 0 ? "positive" : "negative");
  const hue = (line) => state.colours[kind(line)];

  function thickness(line) {
    if (lines.number[line] === 0) return Math.max(0.5, widest * 0.3);
    return Math.max(0.25, widest * Math.min(1, Math.sqrt(lines.size[line] / typical)));
  }

  function curve(path, line) {
    const { x, y, side, horizontal } = state.layout, a = lines.start[line], b = lines.end[line];
    const main = horizontal ? x : y;
    const from = main[a] + side[a] / 2, to = main[b] - side[b] / 2, bend = (to - from) * 0.45;
    if (horizontal) {
      path.moveTo(from, y[a]);
      path.bezierCurveTo(from + bend, y[a], to - bend, y[b], to, y[b]);
    } else {
      path.moveTo(x[a], from);
      path.bezierCurveTo(x[a], from + bend, x[b], to - bend, x[b], to);
    }
  }

  // — dots —

  function outline(c, dot, grow = 0) {
    const s = state.layout.side[dot] + grow, x = state.layout.x[dot], y = state.layout.y[dot];
    c.beginPath();
    if (s < DETAIL) c.arc(x, y, s / 2, 0, 7);
    else c.roundRect(x - s / 2, y - s / 2, s, s, Math.min(5, s / 4));
  }

  function edge(c, dot) {
    if (state.layout.side[dot] < DETAIL) return;
    outline(c, dot);
    c.lineWidth = 1;
    c.strokeStyle = rgba(state.colours.edge);
    c.stroke();
  }

  function filled(c, dot, colour) {
    outline(c, dot);
    c.fillStyle = rgba(colour);
    c.fill();
    edge(c, dot);
  }

  const emptyDot = (c, dot) => filled(c, dot, state.colours.zero);

  function litDot(c, dot) {
    const s = state.layout.side[dot], x = state.layout.x[dot], y = state.layout.y[dot];
    if (s < DETAIL || dots.height[dot] * dots.width[dot] === 1) {
      const row = 3 * (255 + Math.round(255 * state.activity.tone[dot]));
      filled(c, dot, [...state.table.subarray(row, row + 3)]);
      return;
    }
    plane(scratch, dot, state.activity.level[dot]);
    c.save();
    outline(c, dot);
    c.clip();
    c.imageSmoothingEnabled = s < scratch.width;
    c.drawImage(scratch, x - s / 2, y - s / 2, s, s);
    c.restore();
    edge(c, dot);
  }

  // Paints a dot's plane on a canvas of its size; level: 0…1, how strongly.
  function plane(target, dot, level = 1) {
    [target.width, target.height] = [dots.width[dot], dots.height[dot]];
    const c = target.getContext("2d"), image = c.createImageData(target.width, target.height);
    const from = dots.offset[dot], out = image.data; // below 0: nothing reads this channel
    const largest = state.activity.peak[dot] || 1, channels = shape[0];
    const tint = dot >= channels ? null : channels === 3 ? TINTS[dot] : [255, 255, 255];
    for (let i = 0; i < target.width * target.height; i++) {
      if (tint) {
        const byte = state.activity.bytes[i * channels + dot] / 255;
        out.set(tint.map((part) => part * byte), 4 * i);
      } else {
        const pixel = from < 0 ? 0 : state.activity.planes[from + i];
        const row = 3 * (255 + Math.round((255 * level * pixel) / largest));
        out.set(state.table.subarray(row, row + 3), 4 * i);
      }
      out[4 * i + 3] = 255;
    }
    c.putImageData(image, 0, 0);
  }

  // — names of the classes beside the logits —

  function names(c, best) {
    const { horizontal, x, y, side, spacing } = state.layout, first = count - classes.length;
    classes.forEach((text, name) => {
      if (spacing.at(-1) < 12 && name !== best) return;
      const dot = first + name;
      c.save();
      c.font = classFont(name === best);
      c.textAlign = "left";
      c.textBaseline = "middle";
      c.translate(x[dot], y[dot]);
      if (!horizontal) c.rotate(Math.PI / 2);
      c.fillStyle = rgba(name === best ? state.colours.ink : state.colours.soft);
      c.fillText(cut(c, text), side[dot] / 2 + 7, 0);
      c.restore();
    });
  }

  return { faint, lit, strokeOne, emptyDot, litDot, outline, plane, names };
}

// A name, cut where it is too long.
function cut(c, text) {
  const letters = [...text];
  while (letters.length && c.measureText(letters.join("")).width > LONGEST_NAME) letters.splice(-2, 2, "…");
  return letters.join("");
}

function quantile(numbers, fraction) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(fraction * (sorted.length - 1))] ?? 0;
}
