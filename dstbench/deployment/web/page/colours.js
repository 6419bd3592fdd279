// Colours of the theme, as red, green and blue; and those of a plane's pixels.

function readColours() {
  const probe = document.body.appendChild(document.createElement("i"));
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  };
  const names = ["raised", "sunken", "ink", "soft", "edge", "accent", "positive", "negative", "passed", "zero"];
  const colours = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  // The strongest activity is lighter than its hue on a dark page, darker on a light one.
  const dark = colours.raised[0] < 128;
  colours.strongPositive = dark ? [232, 244, 255] : [6, 32, 70];
  colours.strongNegative = dark ? [255, 240, 224] : [66, 24, 0];
  return colours;
}

const rgba = ([r, g, b], alpha = 1) => `rgba(${r},${g},${b},${alpha})`;
const mix = (a, b, t) => a.map((from, i) => from + (b[i] - from) * t);

// Colours of numbers from −1 to 1, as 511 rows of red, green, blue.
function ramp(colours) {
  const table = new Uint8ClampedArray(3 * 511);
  for (let i = -255; i <= 255; i++) {
    const t = Math.abs(i) / 255;
    const hue = i < 0 ? colours.negative : colours.positive;
    const strong = i < 0 ? colours.strongNegative : colours.strongPositive;
    table.set(t < 0.6 ? mix(colours.zero, hue, t / 0.6) : mix(hue, strong, (t - 0.6) / 0.4), 3 * (i + 255));
  }
  return table;
}
