// The canvas: one picture, its masks, boxes and points; zoom, pan, hover. It draws props.scene, which the server alone
// writes, and shows props.phase in words. It is a viewer: props.value is left for a person's own points and boxes.
// All text from the server goes through textContent; it knows no model and no question.
const figure = element.querySelector(".t2s"), stage = element.querySelector(".stage");
const view = element.querySelector(".view"), context = view.getContext("2d", { willReadFrequently: true });
const part = (name) => element.querySelector("." + name);
const hint = part("hint"), notice = part("notice"), tip = part("tip"), zoomBar = part("zoom"), summary = part("summary");
const fileInput = part("file"), slider = element.querySelector(".opacity input");
const palette = props.palette;

let scene = { rev: 0, image: null, labels: null, objects: [], summary: "" };
let picture = null, pictureFile = null; // ImageBitmap of the picture and where it came from
let labels = null, labelsFile = null; // {width, height, index: Uint16Array, boxes: Map, fill, edge}
let look = { zoom: 1, x: 0, y: 0 }; // zoom on top of "all of it"; x, y: offset in CSS pixels
let hovered = 0, lit = null, newest = 0;

const address = (file) => {
  const held = window.gradio_config || {};
  return (held.root || location.origin) + (held.api_prefix || "/gradio_api") + "/file=" + file;
};
const bitmap = async (file) => {
  const answer = await fetch(address(file));
  if (!answer.ok) throw new Error("The picture is no longer on the server (" + answer.status + "). Upload it again.");
  return createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
};
const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
const rgb = (index) => palette[(index - 1) % palette.length];
const css = (index) => "rgb(" + rgb(index).join(",") + ")";
const bright = (index) => { const [r, g, b] = rgb(index); return 0.299 * r + 0.587 * g + 0.114 * b > 128; };

// --- masks: grey values of one PNG are numbers of objects --------------------------------------------------------
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
  const read = { width, height, index, boxes };
  read.fill = tint(read, 0, false);
  read.edge = tint(read, 0, true);
  return read;
}
// Solid colour where objects are (or where their rims are); `only` one of them, 0 for all.
function tint({ width, height, index, boxes }, only, rim) {
  const paper = sheet(width, height), ink = paper.getContext("2d");
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

// --- where things are on the screen -------------------------------------------------------------------------------
function frame() {
  const wide = stage.clientWidth, high = stage.clientHeight, image = scene.image;
  if (!image) return { s: 1, x: 0, y: 0 };
  const s = Math.min(wide / image.width, high / image.height) * look.zoom;
  return { s, x: (wide - image.width * s) / 2 + look.x, y: (high - image.height * s) / 2 + look.y };
}
function keepInView() {
  if (!scene.image) return;
  const wide = stage.clientWidth, high = stage.clientHeight;
  look.zoom = Math.min(Math.max(look.zoom, 1), 40);
  const s = Math.min(wide / scene.image.width, high / scene.image.height) * look.zoom;
  const room = (length, side) => Math.max(0, (length * s - side) / 2);
  const rx = room(scene.image.width, wide), ry = room(scene.image.height, high);
  look.x = Math.min(Math.max(look.x, -rx), rx);
  look.y = Math.min(Math.max(look.y, -ry), ry);
  stage.classList.toggle("zoomed", look.zoom > 1.001);
}
function zoomAt(factor, px, py) {
  const old = look.zoom;
  look.zoom = Math.min(Math.max(look.zoom * factor, 1), 40);
  const f = look.zoom / old, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2;
  look.x = (look.x + cx - px) * f + px - cx;
  look.y = (look.y + cy - py) * f + py - cy;
  keepInView();
  draw();
}
function shape() {
  const image = scene.image;
  if (!image) stage.style.height = "";
  else stage.style.height = Math.max(240, Math.min(window.innerHeight * 0.7, stage.clientWidth * image.height / image.width)) + "px";
}

// --- drawing --------------------------------------------------------------------------------------------------------
function draw() {
  const ratio = window.devicePixelRatio || 1, wide = stage.clientWidth, high = stage.clientHeight;
  const w = Math.max(1, Math.round(wide * ratio)), h = Math.max(1, Math.round(high * ratio));
  if (view.width !== w || view.height !== h) { view.width = w; view.height = h; }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, high);
  if (!picture || !scene.image) return;
  const at = frame(), pw = scene.image.width * at.s, ph = scene.image.height * at.s;
  context.imageSmoothingEnabled = at.s * scene.image.width / picture.width < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, at.x, at.y, pw, ph);
  if (labels) {
    const opacity = slider.value / 100;
    const layer = (paper, alpha) => { context.globalAlpha = alpha; context.drawImage(paper, at.x, at.y, pw, ph); };
    layer(labels.fill, hovered ? opacity * 0.4 : opacity);
    layer(labels.edge, hovered ? 0.45 : 0.95);
    if (lit) { layer(lit.fill, Math.min(1, opacity + 0.2)); layer(lit.edge, 1); }
    context.globalAlpha = 1;
  }
  for (const object of scene.objects) drawObject(object, at);
}
function drawObject(object, at) {
  const quiet = hovered && hovered !== object.number;
  const colour = css(object.number), X = (x) => at.x + x * at.s, Y = (y) => at.y + y * at.s;
  context.globalAlpha = quiet ? 0.35 : 1;
  let tag = object.positive[0] || [0, 0];
  if (object.box) {
    const [x1, y1, x2, y2] = object.box;
    tag = [x1, y1];
    const strokes = [["rgba(17,24,39,.6)", 6], ["#fff", 4.5], [colour, hovered === object.number ? 3.5 : 2.5]];
    for (const [ink, width] of strokes) {
      context.strokeStyle = ink; context.lineWidth = width;
      context.setLineDash(object.masked || width > 4 ? [] : [7, 5]);
      context.strokeRect(X(x1), Y(y1), (x2 - x1) * at.s, (y2 - y1) * at.s);
    }
    context.setLineDash([]);
  }
  for (const [x, y] of object.positive) {
    const px = X(x), py = Y(y);
    context.beginPath(); context.arc(px, py, 7, 0, 2 * Math.PI);
    rimmed(colour);
    cross(px, py, bright(object.number) ? "#111827" : "#fff", true);
  }
  for (const [x, y] of object.negative) {
    const px = X(x), py = Y(y);
    context.beginPath(); context.rect(px - 6.5, py - 6.5, 13, 13);
    rimmed("#c81e1e");
    cross(px, py, "#fff", false);
  }
  const text = String(object.number);
  context.font = "600 13px system-ui, sans-serif";
  const width = context.measureText(text).width + 11, left = Math.max(0, X(tag[0])), top = Math.max(0, Y(tag[1]) - 21);
  context.beginPath(); context.roundRect(left - 1, top, width, 20, 5);
  context.fillStyle = colour; context.fill();
  context.strokeStyle = "#fff"; context.lineWidth = 1.25; context.stroke();
  context.fillStyle = bright(object.number) ? "#111827" : "#fff";
  context.textBaseline = "middle"; context.fillText(text, left + 4.5, top + 10.5);
  context.globalAlpha = 1;
}
function rimmed(colour) {
  context.lineWidth = 4; context.strokeStyle = "rgba(17,24,39,.6)"; context.stroke();
  context.lineWidth = 2.5; context.strokeStyle = "#fff"; context.stroke();
  context.fillStyle = colour; context.fill();
}
function cross(x, y, colour, upright) {
  context.beginPath(); context.moveTo(x - 4, y); context.lineTo(x + 4, y);
  if (upright) { context.moveTo(x, y - 4); context.lineTo(x, y + 4); }
  context.strokeStyle = colour; context.lineWidth = 2; context.stroke();
}

// --- what the server says --------------------------------------------------------------------------------------------
async function take() {
  const next = props.scene, mine = ++newest;
  if (!next) return;
  try {
    const image = next.image ? next.image.file : null, mask = next.labels;
    const [seen, read] = await Promise.all([
      image === pictureFile ? picture : image ? bitmap(image) : null,
      mask === labelsFile ? labels : mask ? bitmap(mask).then(readLabels) : null,
    ]);
    if (mine !== newest) return; // a newer scene came meanwhile
    if (image !== pictureFile) look = { zoom: 1, x: 0, y: 0 };
    [scene, picture, pictureFile, labels, labelsFile] = [next, seen, image, read, mask];
    hover(0);
    hint.hidden = Boolean(picture);
    zoomBar.hidden = !picture;
    shape(); keepInView(); draw();
    summary.textContent = next.summary || "";
    view.setAttribute("aria-label", !picture ? "No picture yet" : next.summary || "The picture, not asked about yet");
    figure.dataset.masks = next.objects.filter((o) => o.masked).length;
    figure.dataset.rev = next.rev;
  } catch (error) {
    announce({ name: "error", words: String(error.message || error) });
  }
}
const MARKS = { nothing: "\u2205", unreadable: "?", error: "!", stopped: "\u25a0" };
function announce(phase) {
  figure.dataset.phase = phase.name;
  notice.className = "notice " + phase.name;
  notice.hidden = !phase.words;
  notice.querySelector(".mark").textContent = MARKS[phase.name] || "";
  notice.querySelector(".words").textContent = phase.words || "";
}

// --- hands ---------------------------------------------------------------------------------------------------------
const place = (event) => { const r = stage.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
function objectAt(px, py) {
  if (!scene.image) return 0;
  const at = frame(), x = (px - at.x) / at.s, y = (py - at.y) / at.s;
  if (x < 0 || y < 0 || x >= scene.image.width || y >= scene.image.height) return 0;
  if (labels) {
    const lx = Math.floor(x * labels.width / scene.image.width), ly = Math.floor(y * labels.height / scene.image.height);
    const n = labels.index[ly * labels.width + lx];
    if (n) return n;
  }
  let found = 0, least = Infinity;
  for (const { box, number } of scene.objects) {
    if (!box || x < box[0] || y < box[1] || x > box[2] || y > box[3]) continue;
    const area = (box[2] - box[0]) * (box[3] - box[1]);
    if (area < least) [found, least] = [number, area];
  }
  return found;
}
function hover(number) {
  if (number === hovered) return;
  hovered = number;
  lit = number && labels ? { fill: tint(labels, number, false), edge: tint(labels, number, true) } : null;
  const object = scene.objects.find((o) => o.number === number);
  tip.hidden = !object;
  if (object) tip.textContent = object.tip;
  draw();
}
const fingers = new Map();
let moved = null, spread = 0;
stage.addEventListener("pointerdown", (event) => {
  if (event.target.closest("button, input")) return;
  fingers.set(event.pointerId, place(event));
  moved = place(event);
  if (look.zoom > 1.001 || fingers.size > 1) { stage.setPointerCapture(event.pointerId); stage.classList.add("dragging"); }
});
stage.addEventListener("pointermove", (event) => {
  const [x, y] = place(event);
  if (fingers.has(event.pointerId)) {
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], gap = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) zoomAt(gap / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = gap;
    } else if (moved && look.zoom > 1.001) {
      look.x += x - moved[0]; look.y += y - moved[1];
      keepInView(); draw();
    }
    moved = [x, y];
    return;
  }
  hover(objectAt(x, y));
  if (!tip.hidden) {
    const left = Math.min(x + 14, stage.clientWidth - tip.offsetWidth - 6), top = Math.max(6, y - tip.offsetHeight - 10);
    tip.style.transform = "translate(" + Math.max(6, left) + "px," + top + "px)";
  }
});
const lift = (event) => {
  fingers.delete(event.pointerId);
  spread = 0; moved = null;
  stage.classList.remove("dragging");
};
for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, lift);
stage.addEventListener("pointerleave", () => hover(0));
stage.addEventListener("wheel", (event) => {
  if (!picture || (event.deltaY > 0 && look.zoom <= 1.001)) return; // zoomed out: the page scrolls
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
}, { passive: false });
const fit = () => { look = { zoom: 1, x: 0, y: 0 }; keepInView(); draw(); };
const middle = (factor) => zoomAt(factor, stage.clientWidth / 2, stage.clientHeight / 2);
stage.addEventListener("dblclick", (event) => { if (!event.target.closest("button")) fit(); });
part("in").addEventListener("click", () => middle(1.5));
part("out").addEventListener("click", () => middle(1 / 1.5));
part("fit").addEventListener("click", fit);
stage.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (event.key === "+" || event.key === "=") middle(1.3);
  else if (event.key === "-") middle(1 / 1.3);
  else if (event.key === "0") fit();
  else if (step && look.zoom > 1.001) { look.x += step[0]; look.y += step[1]; keepInView(); draw(); }
  else return;
  event.preventDefault();
});
slider.addEventListener("input", draw);

// --- a picture that is dropped, pasted or chosen ---------------------------------------------------------------------
async function bring(file) {
  if (!file) return;
  announce({ name: "busy", words: "Uploading\u2026" });
  try {
    const { path } = await upload(file);
    announce({ name: "busy", words: "" });
    trigger("dropped", { path });
  } catch (error) {
    announce({ name: "error", words: "The upload failed: " + String(error.message || error) });
  }
}
stage.addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
stage.addEventListener("dragleave", () => stage.classList.remove("over"));
stage.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  bring(event.dataTransfer.files[0]);
});
part("choose").addEventListener("click", () => fileInput.click());
fileInput.addEventListener("change", () => { bring(fileInput.files[0]); fileInput.value = ""; });
document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files || [])].find((f) => f.type.startsWith("image/"));
  if (file && element.isConnected) { event.preventDefault(); bring(file); }
});

// The server's props. Their names stay out of quotes of any kind in this file, comments included: gradio takes a quoted
// name in here for an event of ours, and would send it along.
const served = Object.keys({ scene: 0, phase: 0 });
watch(served[0], take);
watch(served[1], () => announce(props.phase));
new ResizeObserver(() => { shape(); keepInView(); draw(); }).observe(element);
take();
