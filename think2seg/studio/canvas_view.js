// The canvas, part 1: its elements, and where things are on the screen. All parts share one scope.
// Of every picture the scene is the server's alone, and what is drawn the person's alone. All text goes through
// textContent; it knows no model and no question.
const figure = element.querySelector(".t2s"), stage = element.querySelector(".stage");
const view = element.querySelector(".view"), context = view.getContext("2d", { willReadFrequently: true });
const part = (name) => element.querySelector("." + name);
const hint = part("hint"), notice = part("notice"), tip = part("tip"), zoomBar = part("zoom"), summary = part("summary");
const fileInput = part("file"), slider = element.querySelector(".opacity input");
const palette = props.palette, limits = props.limits;

let scene = { rev: 0, story: 0, edit: 0, image: null, labels: null, objects: [], summary: "" };
let picture = null, pictureFile = null; // ImageBitmap of the picture and where it came from
let labels = null, labelsFile = null; // {width, height, index, boxes, veiled, fill, edge}
let look = { zoom: 1, x: 0, y: 0 }; // zoom on top of "all of it"; x, y: offset in CSS pixels
let hovered = 0, lit = null, awaited = false;

const rgb = (number) => palette[(number - 1) % palette.length];
const css = (number) => "rgb(" + rgb(number).join(",") + ")";
const bright = (number) => { const [r, g, b] = rgb(number); return 0.299 * r + 0.587 * g + 0.114 * b > 128; };

// Pixels of the source image on the stage: `s` CSS pixels a source pixel, the image's corner at x, y.
function frame() {
  const wide = stage.clientWidth, high = stage.clientHeight, image = scene.image;
  if (!image) return { s: 1, x: 0, y: 0 };
  const s = Math.min(wide / image.width, high / image.height) * look.zoom;
  return { s, x: (wide - image.width * s) / 2 + look.x, y: (high - image.height * s) / 2 + look.y };
}
function onStage([x, y]) {
  const at = frame();
  return [at.x + x * at.s, at.y + y * at.s];
}
function onImage([px, py]) {
  const at = frame();
  return [(px - at.x) / at.s, (py - at.y) / at.s];
}
const inside = ([x, y]) => scene.image && x >= 0 && y >= 0 && x < scene.image.width && y < scene.image.height;
// Kept within the image, to a hundredth of a pixel.
const kept = ([x, y]) => [
  Math.round(Math.min(Math.max(x, 0), scene.image.width) * 100) / 100,
  Math.round(Math.min(Math.max(y, 0), scene.image.height) * 100) / 100,
];
function keepInView() {
  if (!scene.image) return;
  const wide = stage.clientWidth, high = stage.clientHeight;
  look.zoom = Math.min(Math.max(look.zoom, 1), 40);
  const s = Math.min(wide / scene.image.width, high / scene.image.height) * look.zoom;
  const room = (length, side) => Math.max(0, (length * s - side) / 2);
  const rx = room(scene.image.width, wide), ry = room(scene.image.height, high);
  look.x = Math.min(Math.max(look.x, -rx), rx);
  look.y = Math.min(Math.max(look.y, -ry), ry);
  stage.classList.toggle("zoomed", zoomed());
}
const zoomed = () => look.zoom > 1.001;
function zoomAt(factor, px, py) {
  const old = look.zoom;
  look.zoom = Math.min(Math.max(look.zoom * factor, 1), 40);
  const f = look.zoom / old, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2;
  look.x = (look.x + cx - px) * f + px - cx;
  look.y = (look.y + cy - py) * f + py - cy;
  keepInView();
  draw();
}
function pan(dx, dy) {
  look.x += dx;
  look.y += dy;
  keepInView();
  soon();
}
const fit = () => { look = { zoom: 1, x: 0, y: 0 }; keepInView(); draw(); };
function shape() {
  const image = scene.image;
  if (!image) stage.style.height = "";
  else {
    const rim = stage.offsetHeight - stage.clientHeight, high = stage.clientWidth * image.height / image.width + rim;
    stage.style.height = Math.max(240, Math.min(window.innerHeight * 0.7, high)) + "px";
  }
}
// Drawing at the next frame is soon enough while something moves.
function soon() {
  if (awaited) return;
  awaited = true;
  requestAnimationFrame(() => { awaited = false; draw(); });
}
