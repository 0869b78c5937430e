// The bench: panels of one picture that zoom and move together, a before/after slider of any two, tables of figures.
// The server alone writes what it shows; all of its text goes through textContent. It knows no model and no question.
const bench = element.querySelector(".bench"), grid = bench.querySelector(".grid"), hand = bench.querySelector(".hand");
const pair = bench.querySelector(".before-after"), divider = pair.querySelector(".divider"), key = bench.querySelector(".key");
const { palette, ramp } = props;
const views = new Map(); // by key: { panel, box, pane, canvas, labels, heat }
let scene = null, picture = null, grey = null, newest = 0, asked = 0;
let look = { zoom: 1, x: 0.5, y: 0.5 }; // x, y: what of the picture lies in the middle of every pane, 0-1
let picked = [];

const address = (file) => {
  const held = window.gradio_config || {};
  return (held.root || location.origin) + (held.api_prefix || "/gradio_api") + "/file=" + file;
};
const kept = new Map(); // what was fetched, by file: the picture is fetched once for all panels
function fetched(file, make) {
  if (!kept.has(file)) {
    const coming = fetch(address(file)).then(async (answer) => {
      if (!answer.ok) throw new Error("A picture is no longer on the server (" + answer.status + "). Run it again.");
      return make(await createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" }));
    });
    coming.catch(() => kept.get(file) === coming && kept.delete(file)); // what failed is asked for again
    kept.set(file, coming);
  }
  return kept.get(file);
}
const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
// The values of a grey PNG as colours, each pixel by `paint(value, index, values, width)`: [red, green, blue, alpha].
function painted(bitmap, paint) {
  const { width, height } = bitmap, paper = sheet(width, height), ink = paper.getContext("2d", { willReadFrequently: true });
  ink.drawImage(bitmap, 0, 0);
  const image = ink.getImageData(0, 0, width, height), data = image.data, values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = data[4 * i];
  for (let i = 0; i < values.length; i++) data.set(values[i] ? paint(values[i], i, values, width) : [0, 0, 0, 0], 4 * i);
  ink.putImageData(image, 0, 0);
  return paper;
}
const tinted = (bitmap) => painted(bitmap, (n, i, values, width) => {
  const t = Math.max(1, Math.round(width / 500)), inner = values[i - t] === n && values[i + t] === n
    && values[i - t * width] === n && values[i + t * width] === n;
  return [...palette[(n - 1) % palette.length], inner ? 128 : 255];
});
const heated = (bitmap) => painted(bitmap, (n) => ramp[n]);
function greyed(bitmap) {
  const paper = sheet(bitmap.width, bitmap.height), ink = paper.getContext("2d", { willReadFrequently: true });
  ink.drawImage(bitmap, 0, 0);
  const image = ink.getImageData(0, 0, paper.width, paper.height), data = image.data;
  for (let i = 0; i < data.length; i += 4) data[i] = data[i + 1] = data[i + 2] = 0.75 * (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
  ink.putImageData(image, 0, 0);
  return paper;
}

// --- drawing ----------------------------------------------------------------------------------------------------------
function frame(pane) {
  const { width, height } = scene.image, wide = pane.clientWidth, high = pane.clientHeight;
  const s = Math.min(wide / width, high / height) * look.zoom;
  return { s, x: wide / 2 - look.x * width * s, y: high / 2 - look.y * height * s };
}
function prepared(pane, canvas) {
  const ratio = window.devicePixelRatio || 1, w = Math.max(1, Math.round(pane.clientWidth * ratio)), h = Math.max(1, Math.round(pane.clientHeight * ratio));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const ink = canvas.getContext("2d");
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.clearRect(0, 0, pane.clientWidth, pane.clientHeight);
  return ink;
}
function paint(ink, view, at) {
  const w = scene.image.width * at.s, h = scene.image.height * at.s;
  ink.imageSmoothingQuality = "high";
  if (view.heat) grey = grey || greyed(picture);
  ink.drawImage(view.heat ? grey : picture, at.x, at.y, w, h);
  for (const layer of [view.heat, view.labels]) if (layer) ink.drawImage(layer, at.x, at.y, w, h);
  for (const object of view.panel.objects) mark(ink, object, at);
}
function mark(ink, { number, box, positive, negative }, at) {
  const colour = "rgb(" + palette[(number - 1) % palette.length].join(",") + ")", X = (x) => at.x + x * at.s, Y = (y) => at.y + y * at.s;
  if (box) {
    for (const [stroke, width] of [["#fff", 3.5], [colour, 2]]) {
      ink.strokeStyle = stroke; ink.lineWidth = width;
      ink.strokeRect(X(box[0]), Y(box[1]), (box[2] - box[0]) * at.s, (box[3] - box[1]) * at.s);
    }
  }
  for (const [points, plus] of [[positive, true], [negative, false]]) {
    for (const [x, y] of points) {
      ink.beginPath();
      if (plus) ink.arc(X(x), Y(y), 5, 0, 2 * Math.PI); else ink.rect(X(x) - 4.5, Y(y) - 4.5, 9, 9);
      ink.lineWidth = 2.5; ink.strokeStyle = "#fff"; ink.stroke();
      ink.fillStyle = plus ? colour : "#c81e1e"; ink.fill();
      ink.beginPath(); ink.moveTo(X(x) - 3, Y(y)); ink.lineTo(X(x) + 3, Y(y));
      if (plus) { ink.moveTo(X(x), Y(y) - 3); ink.lineTo(X(x), Y(y) + 3); }
      ink.lineWidth = 1.5; ink.strokeStyle = plus ? "#111827" : "#fff"; ink.stroke();
    }
  }
}
function draw() {
  if (asked) return;
  asked = requestAnimationFrame(() => {
    asked = 0;
    if (!picture || !scene || !scene.image) return;
    for (const view of views.values()) paint(prepared(view.pane, view.canvas), view, frame(view.pane));
    bench.dataset.look = [look.zoom.toFixed(3), look.x.toFixed(4), look.y.toFixed(4)].join(" ");
    drawPair();
  });
}
function drawPair() {
  const two = picked.map((name) => views.get(name)).filter(Boolean);
  pair.hidden = two.length < 2;
  if (pair.hidden) return;
  const pane = pair.querySelector(".pane");
  shape(pane);
  const ink = prepared(pane, pane.querySelector("canvas")), at = frame(pane), edge = pane.clientWidth * divider.value / 1000;
  paint(ink, two[0], at);
  ink.save();
  ink.beginPath(); ink.rect(edge, 0, pane.clientWidth, pane.clientHeight); ink.clip();
  ink.clearRect(edge, 0, pane.clientWidth, pane.clientHeight);
  paint(ink, two[1], at);
  ink.restore();
  for (const [stroke, width] of [["rgba(17,24,39,.7)", 5], ["#fff", 2.5]]) {
    ink.strokeStyle = stroke; ink.lineWidth = width;
    ink.beginPath(); ink.moveTo(edge, 0); ink.lineTo(edge, pane.clientHeight); ink.stroke();
  }
  ink.beginPath(); ink.arc(edge, pane.clientHeight / 2, 13, 0, 2 * Math.PI);
  ink.fillStyle = "#fff"; ink.fill(); ink.strokeStyle = "rgba(17,24,39,.7)"; ink.lineWidth = 1.5; ink.stroke();
  ink.fillStyle = "#111827"; ink.font = "600 14px system-ui, sans-serif"; ink.textAlign = "center"; ink.textBaseline = "middle";
  ink.fillText("\u2194", edge, pane.clientHeight / 2 + 1);
  pair.querySelector(".left").textContent = two[0].panel.title;
  pair.querySelector(".right").textContent = two[1].panel.title;
  divider.setAttribute("aria-valuetext", Math.round(divider.value / 10) + " % " + two[0].panel.title);
}
function shape(pane) {
  const most = Math.max(240, innerHeight * 0.7), high = pane.clientWidth * scene.image.height / scene.image.width;
  const wanted = Math.max(120, Math.min(most, high)) + "px";
  if (pane.style.height !== wanted) pane.style.height = wanted;
}
function keepInView() {
  look.zoom = Math.min(Math.max(look.zoom, 1), 40);
  const room = 0.5 / look.zoom, kept = (v) => Math.min(Math.max(v, room), 1 - room);
  look.x = kept(look.x); look.y = kept(look.y);
  for (const pane of bench.querySelectorAll(".pane")) pane.classList.toggle("zoomed", look.zoom > 1.001);
}
function zoomAt(pane, factor, px, py) {
  const before = frame(pane), { width, height } = scene.image;
  const x = (px - before.x) / before.s / width, y = (py - before.y) / before.s / height;
  look.zoom = Math.min(Math.max(look.zoom * factor, 1), 40);
  const s = frame(pane).s;
  look.x = x + (pane.clientWidth / 2 - px) / s / width;
  look.y = y + (pane.clientHeight / 2 - py) / s / height;
  keepInView(); draw();
}
function shift(pane, dx, dy) {
  const { s } = frame(pane);
  look.x -= dx / s / scene.image.width; look.y -= dy / s / scene.image.height;
  keepInView(); draw();
}
const fit = () => { look = { zoom: 1, x: 0.5, y: 0.5 }; keepInView(); draw(); };

// --- hands ------------------------------------------------------------------------------------------------------------
function listen(pane, slides) {
  const fingers = new Map();
  let spread = 0, moved = null, sliding = false;
  const place = (event) => { const r = pane.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  const slide = (x) => { divider.value = Math.round(1000 * x / pane.clientWidth); draw(); };
  pane.addEventListener("pointerdown", (event) => {
    if (!picture) return;
    const at = place(event);
    fingers.set(event.pointerId, at);
    sliding = slides && fingers.size === 1 && (look.zoom <= 1.001 || Math.abs(at[0] - pane.clientWidth * divider.value / 1000) < 24);
    spread = 0; moved = at;
    pane.setPointerCapture(event.pointerId);
    if (sliding) slide(at[0]);
  });
  pane.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const [x, y] = place(event);
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 2) {
      const [a, b] = [...fingers.values()], gap = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) zoomAt(pane, gap / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = gap; sliding = false;
    } else if (sliding) slide(x);
    else if (moved && look.zoom > 1.001) shift(pane, x - moved[0], y - moved[1]);
    moved = [x, y];
  });
  const lift = (event) => { fingers.delete(event.pointerId); spread = 0; moved = null; sliding = false; };
  for (const name of ["pointerup", "pointercancel"]) pane.addEventListener(name, lift);
  pane.addEventListener("wheel", (event) => {
    if (!picture || (event.deltaY > 0 && look.zoom <= 1.001)) return; // zoomed out: the page scrolls
    event.preventDefault();
    zoomAt(pane, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
  }, { passive: false });
  pane.addEventListener("dblclick", fit);
  pane.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (!picture) return;
    if (event.key === "+" || event.key === "=") zoomAt(pane, 1.3, pane.clientWidth / 2, pane.clientHeight / 2);
    else if (event.key === "-") zoomAt(pane, 1 / 1.3, pane.clientWidth / 2, pane.clientHeight / 2);
    else if (event.key === "0") fit();
    else if (step && look.zoom > 1.001) shift(pane, ...step);
    else return;
    event.preventDefault();
  });
}
listen(pair.querySelector(".pane"), true);
divider.addEventListener("input", draw);
pair.querySelector(".shut").addEventListener("click", () => { picked = []; ticks(); draw(); });
function pick(name, ticked) {
  picked = picked.filter((other) => other !== name);
  if (ticked) picked = [...picked, name].slice(-2);
  ticks(); draw();
}
function ticks() {
  for (const [name, { box }] of views) box.querySelector(".pick input").checked = picked.includes(name);
}

// --- what the server says ---------------------------------------------------------------------------------------------
const made = (tag, name, text) => {
  const part = document.createElement(tag);
  part.className = name;
  if (text !== undefined) part.textContent = text;
  return part;
};
function built(panel) {
  const box = made("li", "panel"), head = document.createElement("header"), title = made("strong", "");
  const label = made("label", "pick"), tick = document.createElement("input"), pane = made("div", "pane"), canvas = document.createElement("canvas");
  const told = made("p", "told"), mind = made("details", "mind");
  tick.type = "checkbox";
  tick.addEventListener("change", () => pick(panel.key, tick.checked));
  label.append(tick, made("span", "", "slider"));
  head.append(title, label);
  pane.tabIndex = 0; pane.setAttribute("role", "group");
  pane.append(canvas);
  told.append(made("span", "mark"), made("span", "say"));
  mind.append(made("summary", "", "Thought"), document.createElement("p"));
  box.append(head, pane, told, mind);
  listen(pane, false);
  return { box, pane, canvas, title, tick, panel, labels: null, heat: null };
}
function fill(view) {
  const { panel, box, pane, title, tick } = view;
  box.dataset.kind = panel.kind; box.dataset.key = panel.key; box.dataset.painted = view.labels || view.heat ? "yes" : "no";
  title.textContent = panel.title;
  pane.setAttribute("aria-label", panel.title + ": " + panel.words);
  tick.setAttribute("aria-label", "Show " + panel.title + " in the before/after slider");
  tick.disabled = !["done", "map"].includes(panel.kind);
  box.querySelector(".say").textContent = panel.words;
  say(view, panel.thought);
  if (panel.unfolded && panel.thought && !view.unfolded) { view.unfolded = true; box.querySelector(".mind").open = true; }
}
function say({ box }, words) {
  const mind = box.querySelector(".mind"), text = mind.querySelector("p");
  const follows = text.scrollTop + text.clientHeight > text.scrollHeight - 30;
  mind.hidden = !words;
  text.textContent = words;
  if (follows) text.scrollTop = text.scrollHeight;
}
function rows(table, held) {
  table.hidden = !held || !held.rows.length;
  table.replaceChildren();
  if (table.hidden) return;
  const line = (cells, tag) => {
    const row = document.createElement("tr");
    cells.forEach((cell, i) => {
      const part = made(i ? tag : "th", "", cell === null ? "" : String(cell));
      if (tag === "th" || !i) part.scope = tag === "th" ? "col" : "row";
      row.append(part);
    });
    table.append(row);
  };
  line(held.headers, "th");
  for (const cells of held.rows) line(cells, "td");
}
async function take() {
  const next = props.bench, mine = ++newest;
  if (!next) return;
  try {
    const files = new Set([next.image && next.image.file, ...next.panels.flatMap((p) => [p.labels, p.heat])]);
    for (const file of kept.keys()) if (!files.has(file)) kept.delete(file);
    const seen = next.image ? await fetched(next.image.file, (bitmap) => bitmap) : null;
    const layers = await Promise.all(next.panels.map((p) => Promise.all([
      p.labels ? fetched(p.labels, tinted) : null, p.heat ? fetched(p.heat, heated) : null,
    ])));
    if (mine !== newest) return; // something newer came meanwhile
    if (seen !== picture) { grey = null; look = { zoom: 1, x: 0.5, y: 0.5 }; }
    picture = seen; scene = next;
    const names = next.panels.map((p) => p.key);
    for (const [name, view] of views) if (!names.includes(name)) { view.box.remove(); views.delete(name); }
    next.panels.forEach((panel, i) => {
      if (!views.has(panel.key)) views.set(panel.key, built(panel));
      const view = views.get(panel.key);
      [view.panel, view.labels, view.heat] = [panel, ...layers[i]];
      if (grid.children[i] !== view.box) grid.insertBefore(view.box, grid.children[i] || null);
      if (scene.image) shape(view.pane);
      fill(view);
    });
    picked = picked.filter((name) => views.has(name) && !views.get(name).box.querySelector(".pick input").disabled);
    ticks();
    hand.hidden = !names.length;
    grid.style.setProperty("--columns", next.columns || "auto-fill");
    grid.classList.toggle("fixed", next.columns > 0);
    bench.querySelector(".about").textContent = next.about;
    key.hidden = !next.legend;
    if (next.legend) [key.querySelector(".low").textContent, key.querySelector(".high").textContent] = next.legend;
    rows(bench.querySelector("table"), next.table);
    const pairs = bench.querySelector(".pairs");
    pairs.hidden = !next.pairs || !next.pairs.rows.length;
    if (!pairs.hidden) { pairs.querySelector("summary").textContent = next.pairs.title; rows(pairs.querySelector("table"), next.pairs); }
    keepInView(); draw();
    bench.dataset.panels = names.length;
    bench.dataset.rev = next.rev;
  } catch (error) {
    bench.querySelector(".about").textContent = String(error.message || error);
  }
}
function hear() {
  const view = props.live && views.get(props.live.key);
  if (!view || view.panel.kind !== "busy") return;
  view.box.querySelector(".say").textContent = props.live.words;
  if (props.live.thought) view.box.querySelector(".mind").open = true;
  say(view, props.live.thought);
}
const strip = key.querySelector(".ramp").getContext("2d"), colours = strip.createImageData(256, 1);
ramp.forEach(([r, g, b], i) => colours.data.set([r, g, b, 255], 4 * i));
strip.putImageData(colours, 0, 0);
// Unquoted: gradio takes a quoted name in here, comments included, for an event of ours.
const served = Object.keys({ bench: 0, live: 0 });
watch(served[0], take);
watch(served[1], hear);
new ResizeObserver(() => {
  if (!scene || !scene.image) return;
  for (const { pane } of views.values()) shape(pane);
  draw();
}).observe(element);
take();
