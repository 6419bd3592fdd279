// Choosing a dot with a mouse, a finger or the arrow keys.

const REACH = 14; // pixels from a dot at which it is still hit

// choose(dot) is called with a dot, or −1 for none; layout() is the present layout.
function onChoice(canvas, { dots, lines }, linesOf, layout, choose) {
  const count = dots.column.length;
  let chosen = -1, pinned = false;

  function take(dot) {
    if (dot === chosen) return;
    chosen = dot;
    choose(dot);
  }

  function nearest({ offsetX, offsetY }) {
    const { x, y, side } = layout();
    let best = -1, distance = REACH;
    for (let dot = 0; dot < count; dot++) {
      const away = Math.max(0, Math.hypot(x[dot] - offsetX, y[dot] - offsetY) - side[dot] / 2);
      if (away < distance) [best, distance] = [dot, away];
    }
    return best;
  }

  const hovers = (event) => event.pointerType !== "touch" && !pinned;
  canvas.addEventListener("pointermove", (event) => hovers(event) && take(nearest(event)));
  canvas.addEventListener("pointerleave", (event) => hovers(event) && take(-1));
  canvas.addEventListener("click", (event) => { // a second click on a dot lets it go
    const dot = nearest(event);
    pinned = dot >= 0 && !(pinned && dot === chosen);
    take(pinned ? dot : -1);
  });
  canvas.addEventListener("blur", () => !pinned && take(-1));

  canvas.addEventListener("keydown", (event) => {
    const keys = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"];
    const [forward, back, next] = layout().horizontal ? keys : [keys[2], keys[3], keys[0]];
    if (event.key === "Escape") take(-1);
    else if (!keys.includes(event.key)) return;
    else if (chosen < 0) take(0);
    else if (event.key === forward) take(along(lines.start, lines.end));
    else if (event.key === back) take(along(lines.end, lines.start));
    else take(beside(event.key === next ? 1 : -1));
    pinned = false;
    event.preventDefault();
  });

  // The dot at the other end of the strongest line.
  function along(here, there) {
    let best = chosen, size = -1;
    for (const line of linesOf[chosen]) {
      if (here[line] === chosen && lines.size[line] > size) [best, size] = [there[line], lines.size[line]];
    }
    return best;
  }

  // The neighbour in the column.
  function beside(direction) {
    const same = [];
    for (let dot = 0; dot < count; dot++) if (dots.column[dot] === dots.column[chosen]) same.push(dot);
    same.sort((a, b) => dots.place[a] - dots.place[b]);
    return same[Math.max(0, Math.min(same.length - 1, same.indexOf(chosen) + direction))];
  }
}
