// The canvas, part 2: masks. The grey values of one PNG are the numbers of objects.
const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
function readLabels(held) {
  const { width, height } = held;
  const paper = sheet(width, height), ink = paper.getContext("2d", { willReadFrequently: true });
  ink.drawImage(held, 0, 0);
  const grey = ink.getImageData(0, 0, width, height).data;
  const index = new Uint8Array(width * height), boxes = new Map();
  for (let i = 0; i < index.length; i++) {
    const n = (index[i] = grey[4 * i]);
    if (!n) continue;
    const x = i % width, y = (i / width) | 0, box = boxes.get(n);
    if (!box) boxes.set(n, [x, y, x, y]);
    else { if (x < box[0]) box[0] = x; if (x > box[2]) box[2] = x; box[3] = y; }
  }
  const read = { width, height, index, boxes, veiled: new Set() };
  read.fill = tint(read, 0, false);
  read.edge = tint(read, 0, true);
  return read;
}
// Solid colour where objects are (or where their rims are); `only` one of them, 0 for all.
function tint({ width, height, index, boxes }, only, rim) {
  const paper = sheet(width, height), ink = paper.getContext("2d", { willReadFrequently: true });
  const [left, top, right, bottom] = only ? boxes.get(only) || [0, 0, -1, -1] : [0, 0, width - 1, height - 1];
  if (right < left) return paper;
  const out = ink.createImageData(right - left + 1, bottom - top + 1), data = out.data;
  const t = Math.max(1, Math.round(Math.max(width, height) / 700));
  let at = 0;
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++, at += 4) {
      const i = y * width + x, n = index[i];
      if (!n || (only && n !== only)) continue;
      if (rim && x >= t && y >= t && x < width - t && y < height - t && index[i - t] === n && index[i + t] === n
          && index[i - t * width] === n && index[i + t * width] === n) continue;
      const colour = rgb(n);
      data[at] = colour[0]; data[at + 1] = colour[1]; data[at + 2] = colour[2]; data[at + 3] = 255;
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
    if ((read.veiled.has(n) ? read.veiledAs?.get(n) : "") === wanted) continue;
    read.veiledAs = (read.veiledAs || new Map()).set(n, wanted);
    if (wanted) read.veiled.add(n); else read.veiled.delete(n);
    fade(read, n, read.fill, wanted ? 0 : 255);
    fade(read, n, read.edge, wanted === "gone" ? 0 : wanted ? 90 : 255);
  }
}
function fade({ width, index, boxes }, n, paper, alpha) {
  const [left, top, right, bottom] = boxes.get(n), ink = paper.getContext("2d");
  const held = ink.getImageData(left, top, right - left + 1, bottom - top + 1), data = held.data;
  const rim = paper.rim || (paper.rim = new Map()), colour = rgb(n);
  if (!rim.has(n)) { // which pixels of this paper are the object's, while they can still be seen
    const own = [];
    let at = 0;
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++, at += 4) if (index[y * width + x] === n && data[at + 3]) own.push(at);
    }
    rim.set(n, Uint32Array.from(own));
  }
  for (const at of rim.get(n)) {
    data[at] = colour[0]; data[at + 1] = colour[1]; data[at + 2] = colour[2]; data[at + 3] = alpha;
  }
  ink.putImageData(held, left, top);
}
