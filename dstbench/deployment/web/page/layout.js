// Where dots are: columns go from left to right, or from top to bottom on a narrow screen.

const NARROW = 640; // pixels
const LARGEST = 30; // side of a dot, pixels
const WIDEST = 56; // pixels between dots of a column

// → { horizontal, height, x, y, side, labels, bands }; x, y: centres of the dots; side: of a dot
// where it is a square; bands: columns whose planes have one size.
function layOut(dots, width, height, longestLabel) {
  const count = dots.column.length;
  const columns = Math.max(...dots.column) + 1;
  const horizontal = width >= NARROW;
  if (!horizontal) height = 110 + columns * Math.max(17, Math.min(44, 860 / columns));
  const along = horizontal ? [10, width - longestLabel - 12] : [8, height - longestLabel - 12];
  const across = horizontal ? [30, height - 6] : [46, width - 6];
  const step = (along[1] - along[0]) / columns;
  const inColumn = new Array(columns).fill(0);
  for (const column of dots.column) inColumn[column]++;
  const spacing = inColumn.map((n) => Math.min((across[1] - across[0]) / n, WIDEST));
  const middle = (across[0] + across[1]) / 2;
  const main = new Float64Array(count), cross = new Float64Array(count), side = new Float64Array(count);
  for (let dot = 0; dot < count; dot++) {
    const column = dots.column[dot];
    main[dot] = along[0] + (column + 0.5) * step;
    cross[dot] = middle + (dots.place[dot] - 0.5) * inColumn[column] * spacing[column];
    side[dot] = Math.max(1.6, Math.min(step * 0.66, spacing[column] * 0.86, LARGEST));
  }
  return {
    horizontal, width, height, side, step, spacing,
    x: horizontal ? main : cross,
    y: horizontal ? cross : main,
    bands: bands(dots, columns).map(({ text, first, last }) => ({
      text, from: along[0] + first * step, to: along[0] + (last + 1) * step,
    })),
  };
}

// Columns with planes of one size, after each other.
function bands(dots, columns) {
  const size = new Array(columns);
  dots.column.forEach((column, dot) => (size[column] = `${dots.height[dot]}×${dots.width[dot]}`));
  const found = [];
  size.forEach((text, column) => {
    const before = found.at(-1);
    if (before?.text === text) before.last = column;
    else found.push({ text, first: column, last: column });
  });
  return found;
}
