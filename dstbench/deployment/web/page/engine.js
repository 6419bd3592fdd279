// The network's C code as WebAssembly.

async function startEngine({ module, pixels, shape, classes }) {
  const bytes = Uint8Array.from(atob(module), (letter) => letter.charCodeAt(0));
  const code = (await WebAssembly.instantiate(bytes)).instance.exports;
  const memory = code.memory.buffer; // never grows
  const image = new Uint8Array(memory, code.image_address(), shape[0] * shape[1] * shape[2]);
  const logits = new Float32Array(memory, code.logits_address(), classes.length);
  return {
    planes: new Float32Array(memory, code.planes_address(), pixels), // of the last call
    // Bytes of an image (height, width, channels) → logits.
    infer(bytes) {
      image.set(bytes);
      code.infer();
      return logits;
    },
  };
}

// → { milliseconds of a call, calls }: the median of some turns. A turn is as many calls as a coarse
// clock can time.
function medianTime(call, turns = 15, turn = 3) {
  const timed = (calls) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    return performance.now() - start;
  };
  let calls = 1;
  while (calls < 256 && timed(calls) < turn) calls *= 2;
  const times = Array.from({ length: turns }, () => timed(calls) / calls).sort((a, b) => a - b);
  return { milliseconds: times[turns >> 1], calls: turns * calls };
}
