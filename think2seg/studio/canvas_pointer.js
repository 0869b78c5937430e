// The canvas, part 6: mouse, pen and fingers. A click is a press without movement; dragging a handle moves it, dragging
// with the box tool draws, dragging anything else moves the picture when it is zoomed.
const STILL = { mouse: 4, pen: 6, touch: 10 }; // CSS pixels that a click may wander
const REACH = { mouse: 10, pen: 12, touch: 22 };
const LONG_MS = 500;
const place = ({ clientX, clientY }) => { const r = view.getBoundingClientRect(); return [clientX - r.left, clientY - r.top]; };
const fingers = new Map();
let press = null; // { from, last, at, negative, hold, does, long }: does: "", pan, box, move or nothing
let spread = 0, middleOf = null;

function endPress() {
  if (press?.long) clearTimeout(press.long);
  press = null;
  stage.classList.remove("dragging");
}
stage.addEventListener("pointerdown", (event) => {
  if (event.target.closest("button, input") || !picture) return;
  stage.focus({ preventScroll: true });
  crosshair = null;
  if (carried) { carried = null; refresh(); }
  const at = place(event), type = event.pointerType in REACH ? event.pointerType : "mouse";
  fingers.set(event.pointerId, at);
  try { stage.setPointerCapture(event.pointerId); } catch { /* it is up again already */ }
  if (fingers.size > 1) { endPress(); draft = null; carried = null; spread = 0; middleOf = null; refresh(); return; }
  const hold = busy ? null : handleAt(...at, REACH[type]);
  const negative = event.button === 2 || event.shiftKey || (event.ctrlKey && event.button === 0);
  press = { from: at, last: at, at: onImage(at), type, negative, hold, does: event.button === 1 ? "pan" : "", long: 0 };
  if (type === "touch" && !hold && tool !== "box") press.long = setTimeout(longPress, LONG_MS);
});
function longPress() {
  if (!press || press.does) return;
  press.does = "nothing";
  if (inside(press.at) && addPoint("negative", press.at)) navigator.vibrate?.(15);
}
stage.addEventListener("pointermove", (event) => {
  const at = place(event), [x, y] = at;
  if (!fingers.has(event.pointerId)) {
    if (event.pointerType !== "touch" && !event.target.closest("button, input")) glide(x, y);
    return;
  }
  fingers.set(event.pointerId, at);
  if (fingers.size === 2) {
    const [a, b] = [...fingers.values()], gap = Math.hypot(a[0] - b[0], a[1] - b[1]), centre = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    if (middleOf) pan(centre[0] - middleOf[0], centre[1] - middleOf[1]);
    if (spread) zoomAt(gap / spread, ...centre);
    spread = gap;
    middleOf = centre;
    return;
  }
  if (!press) return;
  if (!press.does && Math.hypot(x - press.from[0], y - press.from[1]) > STILL[press.type]) begin();
  if (press.does === "pan") pan(x - press.last[0], y - press.last[1]);
  else if (press.does === "box") { draft.to = kept(onImage(at)); soon(); }
  else if (press.does === "move") { carried.preview = movedTo(press.hold, aside(at)); refresh(); }
  press.last = at;
});
// What is held stays as far from the pointer as it was when it was taken.
function aside([x, y]) {
  return onImage([x + press.offset[0], y + press.offset[1]]);
}
function begin() {
  clearTimeout(press.long);
  const { hold } = press;
  if (hold && hold.kind !== "plate" && !press.negative && mayEdit()) {
    press.does = "move";
    const where = KINDS.includes(hold.kind) ? onStage(promptOf(said, history.now, hold.number)[hold.kind][hold.index]) : press.from;
    press.offset = [where[0] - press.from[0], where[1] - press.from[1]];
    carried = { hold, preview: history.now, keys: false };
    select(hold.number, hold.kind === "box" ? null : { kind: hold.kind, index: hold.index });
  } else if (tool === "box" && !press.negative) {
    if (!mayEdit()) { press.does = "nothing"; return; }
    press.does = "box";
    draft = { from: kept(press.at), to: kept(press.at), number: selected && !isGone(selected) ? selected : fresh(said, history.now) };
  } else if (zoomed()) {
    press.does = "pan";
  } else {
    return; // nowhere to move to: a press that wandered a little is still a click
  }
  stage.classList.add("dragging");
}
stage.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  if (!press || fingers.size) return endPress();
  const at = place(event), { does, hold, negative, from } = press;
  const clicked = !does && Math.hypot(at[0] - from[0], at[1] - from[1]) <= 3 * STILL[press.type];
  const target_ = does === "move" ? aside(at) : null, where = press.at;
  endPress();
  if (does === "move") drop(hold, target_);
  else if (does === "box") { const { from: a, to: b } = draft; draft = null; setBox(boxOf(a, b)); refresh(); }
  else if (clicked) click(hold, negative, where);
});
function click(hold, negative, where) {
  if (hold && !negative) {
    select(hold.number, KINDS.includes(hold.kind) ? { kind: hold.kind, index: hold.index } : null);
    say(isGone(hold.number) ? `Object ${hold.number} is crossed out.` : `Object ${hold.number} is selected.${holds(hold.number)}`);
  } else if (!inside(where)) {
    if (selected) letGo();
  } else if (tool === "box" && !negative) {
    refuse("Press and drag to draw a box.");
  } else {
    addPoint(negative ? "negative" : tool, where);
  }
}
stage.addEventListener("pointercancel", (event) => {
  fingers.delete(event.pointerId);
  draft = carried = null;
  endPress();
  refresh();
});
stage.addEventListener("pointerleave", () => hover(0));
stage.addEventListener("contextmenu", (event) => { if (picture) event.preventDefault(); });
stage.addEventListener("auxclick", (event) => event.preventDefault());
// A finger on a handle moves it, and with the box tool it draws; elsewhere it scrolls the page when all is shown.
stage.addEventListener("touchstart", (event) => {
  if (!picture || event.target.closest("button, input") || event.touches.length > 1) return;
  if (tool === "box" || handleAt(...place(event.touches[0]), REACH.touch)) event.preventDefault();
}, { passive: false });
// Whoever comes near may click soon: the server is told once a story, and gets ready.
let approachedStory = 0;
function approach() {
  if (!picture || busy || approachedStory === scene.story) return;
  approachedStory = scene.story;
  trigger("approached", {});
}
for (const name of ["pointermove", "pointerdown", "focus"]) stage.addEventListener(name, approach);
const CURSORS = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize", s: "ns-resize", w: "ew-resize", e: "ew-resize" };
function glide(x, y) {
  const hold = picture && !busy ? handleAt(x, y, REACH.mouse) : null;
  stage.style.cursor = !picture || busy ? "" : !hold ? "crosshair" : hold.kind === "box" ? CURSORS[hold.index] : hold.kind === "plate" ? "pointer" : "move";
  hover(hold ? hold.number : objectAt(x, y));
  if (tip.hidden) return;
  const left = Math.min(x + 14, stage.clientWidth - tip.offsetWidth - 6), top = Math.max(6, y - tip.offsetHeight - 10);
  tip.style.transform = "translate(" + Math.max(6, left) + "px," + top + "px)";
}
stage.addEventListener("wheel", (event) => {
  if (!picture || (event.deltaY > 0 && !zoomed())) return; // zoomed out: the page scrolls
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
}, { passive: false });
const middle = (factor) => {
  const [x, y] = crosshair ? onStage(crosshair) : [stage.clientWidth / 2, stage.clientHeight / 2];
  zoomAt(factor, x, y);
};
part("in").addEventListener("click", () => middle(1.5));
part("out").addEventListener("click", () => middle(1 / 1.5));
part("fit").addEventListener("click", fit);
slider.addEventListener("input", draw);
