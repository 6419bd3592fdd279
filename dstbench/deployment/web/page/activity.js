// What an image does to the network: from the planes, how brightly each dot and line is lit.

// planes: float32, all planes after each other. → { planes, mean, peak, level, tone, line }:
// mean and peak of a plane's absolute values; level: 0…1, relative to its column; tone: −1…1, level
// with the sign of the plane's sum; line: 0…1, relative to the lines into the same column.
function activityOf(planes, { dots, lines }) {
  const count = dots.column.length, columns = Math.max(...dots.column) + 1;
  const mean = new Float64Array(count), peak = new Float64Array(count), sum = new Float64Array(count);
  const most = new Float64Array(columns);
  for (let dot = 0; dot < count; dot++) {
    const from = dots.offset[dot], pixels = dots.height[dot] * dots.width[dot];
    if (from < 0) continue; // a channel of the image that nothing reads
    let total = 0;
    for (let i = from; i < from + pixels; i++) {
      const size = Math.abs(planes[i]);
      total += size;
      sum[dot] += planes[i];
      if (size > peak[dot]) peak[dot] = size;
    }
    mean[dot] = total / pixels;
    most[dots.column[dot]] = Math.max(most[dots.column[dot]], mean[dot]);
  }
  const level = mean.map((value, dot) => (value ? 0.25 + 0.75 * Math.sqrt(value / most[dots.column[dot]]) : 0));
  const tone = level.map((value, dot) => Math.sign(sum[dot]) * value);
  const flow = Float64Array.from(lines.start, (start, line) => mean[start] * (lines.size[line] || 1));
  const mostInto = new Float64Array(columns);
  flow.forEach((value, line) => {
    const column = dots.column[lines.end[line]];
    mostInto[column] = Math.max(mostInto[column], value);
  });
  const line = flow.map((value, i) => value / (mostInto[dots.column[lines.end[i]]] || 1));
  return { planes, mean, peak, level, tone, line };
}
