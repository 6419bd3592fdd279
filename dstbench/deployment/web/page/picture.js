// Pictures of any size as the bytes that the network takes.

const GREY = [0.299, 0.587, 0.114]; // of red, green and blue, as when images are decoded for training

// Draws the largest centred part of a picture that has the shape of the canvas; → its bytes
// (height, width, channels).
function fit(picture, canvas, channels) {
  const { width, height } = canvas;
  const [across, down] = [picture.naturalWidth ?? picture.width, picture.naturalHeight ?? picture.height];
  const scale = Math.min(across / width, down / height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = scale !== 1;
  context.imageSmoothingQuality = "high"; // averages all pixels of a large picture, not four
  context.fillStyle = "#fff"; // below transparent pixels
  context.fillRect(0, 0, width, height);
  const [sw, sh] = [width * scale, height * scale];
  context.drawImage(picture, (across - sw) / 2, (down - sh) / 2, sw, sh, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const bytes = new Uint8Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const rgb = data.subarray(4 * pixel, 4 * pixel + 3);
    if (channels === 1) {
      bytes[pixel] = Math.round(rgb[0] * GREY[0] + rgb[1] * GREY[1] + rgb[2] * GREY[2]);
    } else {
      bytes.set(rgb, 3 * pixel);
    }
  }
  return bytes;
}

// Calls take(file) for files that are chosen, dropped anywhere or pasted.
function onPicture(input, take) {
  const first = (files) => files.length && take(files[0]);
  input.addEventListener("change", () => {
    first(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  addEventListener("paste", (event) => first(event.clipboardData.files));
  const over = (on) => document.body.classList.toggle("over", on);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    first(event.dataTransfer.files);
  });
}
