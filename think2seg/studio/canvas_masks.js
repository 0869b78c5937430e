// The canvas, part 2: masks. The grey values of one PNG are the numbers of objects.
const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
function readLabels(held) {
  const { width, height } = held;
  const paper = sheet(width, height), ink = paper.getContext("2d", { willReadFrequently: true });
  ink.drawImage(held, 0, 0);
  const grey = new Uint32Array(ink.getImageData(0, 0, width, height).data.buffer);
  const index = new Uint8Array(width * height), boxes = new Map();
  for (let y = 0, i = 0; y < height; y++) {
    let run = 0, from = 0;
    for (let x = 0; x <= width; x++, i++) {
      const n = x < width ? grey[i] & 255 : 0;
      if (x < width) index[i] = n;
      if (n === run) continue;
      if (run) widen(boxes, run, from, x - 1, y);
      [run, from] = [n, x];
    }
    i--;
  }
  const read = { width, height, index, boxes, veiled: new Map() };
  read.fill = tint(read, 0, false);
  read.edge = tint(read, 0, true);
  return read;
}
function widen(boxes, n, left, right, y) {
  const box = boxes.get(n);
  if (!box) boxes.set(n, [left, y, right, y]);
  else { box[0] = Math.min(box[0], left); box[2] = Math.max(box[2], right); box[3] = y; }
}
const INKS = new Uint32Array(256).map((_ink, n) => {
  if (!n) return 0;
  const [r, g, b] = rgb(n);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
});
// Solid colour where objects are (or where their rims are); `only` one of them, 0 for all.
function tint({ width, height, index, boxes }, only, rim) {
  const paper = sheet(width, height), ink = paper.getContext("2d", { willReadFrequently: true });
  const t = Math.max(1, Math.round(Math.max(width, height) / 700));
  const covered = only ? [boxes.get(only)].filter(Boolean) : [...boxes.values()];
  if (!covered.length) return paper;
  const least = (k) => Math.min(...covered.map((box) => box[k])), most = (k) => Math.max(...covered.map((box) => box[k]));
  const left = least(0), top = least(1), right = most(2), bottom = most(3);
  const out = ink.createImageData(right - left + 1, bottom - top + 1), data = new Uint32Array(out.data.buffer);
  for (let y = top, at = 0; y <= bottom; y++) {
    for (let x = left, i = y * width + left; x <= right; x++, i++, at++) {
      const n = index[i];
      if (!n || (only && n !== only)) continue;
      if (rim && x >= t && y >= t && x < width - t && y < height - t && index[i - t] === n && index[i + t] === n
          && index[i - t * width] === n && index[i + t * width] === n) continue;
      data[at] = INKS[n];
    }
  }
  ink.putImageData(out, left, top);
  return paper;
}
// A mask whose object has changed since is no longer its mask: nothing of it is filled, and its rim is faint (`stale`)
// or gone. Masks that are right again are unveiled.
function veil(read, stale, gone) {
  for (const n of read.boxes.keys()) {
    const wanted = gone.has(n) ? "gone" : stale.has(n) ? "stale" : "";
    if ((read.veiled.get(n) || "") === wanted) continue;
    if (wanted) read.veiled.set(n, wanted); else read.veiled.delete(n);
    fade(read, n, false, wanted ? 0 : 255);
    fade(read, n, true, wanted === "gone" ? 0 : wanted ? 90 : 255);
  }
}
function fade(read, n, rim, alpha) {
  const one = tint(read, n, rim), [left, top, right, bottom] = read.boxes.get(n);
  const ink = (rim ? read.edge : read.fill).getContext("2d"), wide = right - left + 1, high = bottom - top + 1;
  ink.globalCompositeOperation = "destination-out";
  ink.drawImage(one, left, top, wide, high, left, top, wide, high);
  ink.globalCompositeOperation = "source-over";
  ink.globalAlpha = alpha / 255;
  ink.drawImage(one, left, top, wide, high, left, top, wide, high);
  ink.globalAlpha = 1;
}
