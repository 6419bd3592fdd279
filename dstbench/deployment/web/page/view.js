// The drawing of the live network. Lines and dots are painted twice per image: faintly, and lit by
// its activity. A frame only copies these two layers, so that large networks move smoothly, too.

const SWEEP = 900; // milliseconds that an image takes to light the network
const SOFT = 60, SLICES = 8; // pixels and steps of the edge of the light

// show(dot, place): called when a dot is chosen, or −1 for none.
function makeView(canvas, data, show) {
  const { dots, lines, classes } = data, box = canvas.parentElement;
  const state = { layout: null, colours: null, table: null, activity: null };
  const painter = makePainter(data, state);
  const context = canvas.getContext("2d");
  const faint = document.createElement("canvas"), lit = document.createElement("canvas");
  const linesOf = Array.from(dots.column, () => []);
  lines.start.forEach((start, line) => {
    linesOf[start].push(line);
    linesOf[lines.end[line]].push(line);
  });
  let chosen = -1, started = -Infinity, scheduled = false;

  // — layers —

  function resize() {
    const room = labelRoom();
    state.layout = layOut(dots, box.clientWidth, box.clientHeight, room);
    box.style.height = state.layout.horizontal ? "" : `${state.layout.height}px`;
    if (state.layout.horizontal) state.layout = layOut(dots, box.clientWidth, box.clientHeight, room);
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const one of [canvas, faint, lit]) {
      one.width = Math.round(state.layout.width * ratio);
      one.height = Math.round(state.layout.height * ratio);
      one.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    recolour();
  }

  function labelRoom() {
    context.font = classFont(true);
    const widths = classes.map((name) => context.measureText(name).width);
    return Math.min(LONGEST_NAME, Math.max(...widths) + 8);
  }

  function recolour() {
    state.colours = readColours();
    state.table = ramp(state.colours);
    painter.faint(faint.getContext("2d"));
    paintLit();
  }

  function paintLit() {
    if (state.activity) painter.lit(lit.getContext("2d"));
    request();
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
    started ??= now;
    const progress = Math.min(1, (now - started) / SWEEP);
    context.clearRect(0, 0, state.layout.width, state.layout.height);
    copy(faint);
    if (state.activity) {
      context.globalAlpha = chosen >= 0 ? 0.22 : 1;
      sweep(progress);
      context.globalAlpha = 1;
    }
    if (chosen >= 0) highlight();
    painter.names(context, progress > 0.85 && state.activity ? state.activity.best : -1);
    if (progress < 1) request();
  }

  const copy = (layer) => context.drawImage(layer, 0, 0, state.layout.width, state.layout.height);

  // The lit layer up to where the light has come, with a soft edge.
  function sweep(progress) {
    if (progress >= 1) return copy(lit);
    const { horizontal, width, height } = state.layout, alpha = context.globalAlpha;
    const front = progress * ((horizontal ? width : height) + SOFT) - SOFT;
    for (let i = 0; i <= SLICES; i++) {
      const from = i === 0 ? 0 : front + ((i - 1) * SOFT) / SLICES, to = front + (i * SOFT) / SLICES;
      context.save();
      context.beginPath();
      if (horizontal) context.rect(from, 0, to - from, height);
      else context.rect(0, from, width, to - from);
      context.clip();
      context.globalAlpha = alpha * (1 - i / (SLICES + 1));
      copy(lit);
      context.restore();
    }
  }

  function highlight() {
    const paint = state.activity ? painter.litDot : painter.emptyDot;
    for (const line of linesOf[chosen]) painter.strokeOne(context, line);
    for (const line of linesOf[chosen]) {
      paint(context, lines.start[line]);
      paint(context, lines.end[line]);
    }
    paint(context, chosen);
    painter.outline(context, chosen, 3);
    context.lineWidth = 2;
    context.strokeStyle = rgba(state.colours.accent);
    context.stroke();
  }

  // — events —

  const place = (dot) => (dot < 0 ? null : { ...state.layout, x: state.layout.x[dot], y: state.layout.y[dot] });

  onChoice(canvas, data, linesOf, () => state.layout, (dot) => {
    chosen = dot;
    show(dot, place(dot));
    request();
  });
  new ResizeObserver(() => requestAnimationFrame(() => {
    const { width, height } = state.layout;
    if (box.clientWidth !== width || Math.abs(box.clientHeight - height) > 1) resize();
  })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  resize();

  return {
    linesOf,
    plane: painter.plane,
    activity: () => state.activity,
    // Lights the network by what an image did to it; see `activityOf`. best: the class it is.
    light(activity, bytes, best) {
      state.activity = { ...activity, bytes, best };
      paintLit();
      if (chosen >= 0) show(chosen, place(chosen));
      started = matchMedia("(prefers-reduced-motion: reduce)").matches ? -Infinity : null;
    },
  };
}
