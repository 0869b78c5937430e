// The canvas, part 5: the person's edits. Each is drawn at once and told to the server with a revision; an answer to an
// older revision never hides a newer edit. `drawn` lives in the history and in props, and the server never writes it.
let said = new Map(); // number → what the model said
let history = beginning(), revision = 0;
let sentAt = new Map([[0, {}]]); // revision → what was drawn then, since the last answer
let selected = 0, picked = null; // the chosen object, and { kind, index } of its chosen point or corner
let tool = "positive";
let draft = null, carried = null, crosshair = null; // a box being drawn; what the keys carry; where the keys point
let busy = false; // a question runs: what is there will be replaced

const told = part("told"), target = part("target"), bar = part("tools");
const toolButtons = [...element.querySelectorAll("[data-tool]")];
const BY_TOUCH = matchMedia("(pointer: coarse)").matches, CLICK = BY_TOUCH ? "tap" : "click";
const LET_GO = BY_TOUCH ? "“New” lets go of it." : "Esc or “New object” lets go of it.";
const TOOLS = { positive: "a point inside", negative: "a point outside", box: "a box" };

const current = () => carried?.preview || history.now; // while something is moved, as it would be
const shownObjects = () => standing(said, current());
const objectOf = (number) => shownObjects().find((o) => o.number === number);
const isGone = (number) => said.has(number) && history.now[number] === null;
const isPicked = (number, kind, i) => number === selected && picked && picked.kind === kind && picked.index === i;
const ghosts = () => [...said].filter(([number]) => number in current());
const corners = ([x1, y1, x2, y2]) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
const answeredWith = () => sentAt.get(scene.edit) || {};
// Whether the mask on the canvas is the mask of the prompt as it stands.
function isFilled(number) {
  const object = scene.objects.find((o) => o.number === number);
  const now = promptOf(said, current(), number);
  return Boolean(object && object.masked && same(promptOf(said, answeredWith(), number), now));
}

// --- telling -------------------------------------------------------------------------------------------------------
function tell() {
  figure.dataset.edit = revision;
  sentAt.set(revision, history.now);
  props.value = { story: scene.story, revision, drawn: history.now };
  trigger("edited", {});
  remind(4);
}
function commit(next, words) {
  if (same(next, history.now)) return false;
  history = stepped(history, next);
  revision += 1;
  after(words);
  return true;
}
function after(words) {
  const object = objectOf(selected);
  if (!object && !isGone(selected)) selected = 0;
  if (picked && !(object && (picked.kind === "box" ? object.prompt.box : object.prompt[picked.kind][picked.index]))) picked = null;
  if (notice.classList.contains("nothing")) notice.hidden = true;
  refresh();
  say(words);
  tell();
}
function say(words) {
  told.textContent = words;
}
// Veils, buttons, lines and the picture follow the state.
function refresh() {
  if (labels) {
    const standingNow = new Set(shownObjects().map((o) => o.number));
    const gone = new Set([...labels.boxes.keys()].filter((n) => !standingNow.has(n)));
    veil(labels, new Set([...standingNow].filter((n) => !isFilled(n))), gone);
  }
  const objects = shownObjects(), object = objectOf(selected);
  figure.dataset.stale = objects.filter((o) => !isFilled(o.number)).map((o) => o.number).join(" ");
  figure.dataset.points = objects.reduce((sum, o) => sum + countPoints(o.prompt), 0);
  figure.dataset.objects = objects.length;
  figure.dataset.selected = selected;
  for (const button of toolButtons) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    button.disabled = busy;
  }
  part("undo").disabled = busy || !history.past.length;
  part("redo").disabled = busy || !history.future.length;
  part("fresh").disabled = busy || !selected;
  part("delete").disabled = busy || !object;
  part("restore").disabled = busy || !(said.has(selected) && selected in history.now);
  part("original").disabled = busy || !Object.keys(history.now).length;
  part("clear").disabled = busy || !objects.length;
  part("edited-key").hidden = !objects.some((o) => o.mark === "edited");
  part("added-key").hidden = !objects.some((o) => o.mark === "added");
  part("ghost-key").hidden = !ghosts().length;
  aim();
  draw();
}
// One line that says what the next press does.
function aim(under = hovered) {
  const number = selected || under, chip = target.querySelector(".chip"), object = objectOf(selected);
  stage.dataset.tool = tool;
  let words;
  if (busy) words = "The model is still at work. Wait, or press Stop to go on by hand.";
  else if (carried?.keys) words = "Arrow keys move it, Enter puts it down, Escape leaves it where it was.";
  else if (isGone(selected)) words = "is crossed out. “Restore” brings back what the model said.";
  else if (tool === "box") words = selected ? "gets the box that you drag. " + LET_GO : "Drag a box round a new object.";
  else if (object && !startable(object.prompt)) words = "needs a point inside or a box before SAM can start.";
  else if (selected) words = `gets ${TOOLS[tool]}. ${LET_GO}`;
  else if (under) words = `is here: a ${CLICK} gives it ${TOOLS[tool]}.`;
  else if (tool === "negative") words = `To say where an object ends, ${CLICK} on its mask, or select it first.`;
  else words = `A ${CLICK} begins a new object; on an object it adds to it.`;
  chip.hidden = busy || !number || Boolean(carried?.keys) || (tool === "box" && !selected);
  chip.textContent = "Object " + number;
  if (number) { chip.style.background = css(number); chip.style.color = bright(number) ? "#111827" : "#fff"; }
  target.querySelector(".words").textContent = words;
}

// --- what a person can do ----------------------------------------------------------------------------------------
const coordinates = ([x, y]) => Math.round(x) + ", " + Math.round(y);
const plural = (count, word) => count + " " + word + (count === 1 ? "" : "s");
function holds(number) {
  const prompt = promptOf(said, history.now, number);
  if (!prompt) return "";
  const box = prompt.box ? "a box, " : "";
  return ` It has ${box}${plural(prompt.positive.length, "point")} inside, ${prompt.negative.length} outside.`;
}
function refuse(words) {
  say(words);
  figure.dataset.refused = words;
  return false;
}
function mayEdit() {
  if (!picture) return false;
  return busy ? refuse("The model is still at work. Wait, or press Stop to go on by hand.") : true;
}
function mayAdd(number) {
  if (number > 254 || (!(number in history.now) && Object.keys(history.now).length >= limits.objects)) {
    return refuse(`At most ${limits.objects} objects can be edited on one picture. Undo, or restore some.`);
  }
  return true;
}
function select(number, choice = null) {
  selected = number;
  picked = choice;
  refresh();
}
// Where a point goes: the selected object, else the one that is there, else a new one.
function receiver(kind, at) {
  if (selected && !isGone(selected)) return selected;
  const there = objectAt(...onStage(at));
  if (there) return there;
  return kind === "positive" ? fresh(said, history.now) : 0;
}
function addPoint(kind, where) {
  if (!mayEdit()) return false;
  const at = kept(where), number = receiver(kind, at);
  if (!number) return refuse("A point outside needs an object to be outside of. Click on one first.");
  const before = promptOf(said, history.now, number) || BLANK;
  if (!mayAdd(number)) return false;
  if (countPoints(before) >= limits.points) {
    return refuse(`Object ${number} has ${limits.points} points, and no more are sent. Delete some, or begin a new object.`);
  }
  const next = put(said, history.now, number, withPoint(before, kind, at));
  selected = number;
  picked = { kind, index: before[kind].length };
  const begun = before === BLANK ? "New object " + number : "Object " + number;
  const where_ = kind === "positive" ? "inside" : "outside";
  history = stepped(history, next);
  revision += 1;
  after(`${begun}: point ${where_} at ${coordinates(at)}.${holds(number)}`);
  return true;
}
function setBox(box) {
  if (!mayEdit()) return false;
  if (!box) return refuse("A box must be at least a pixel wide and high. Drag further.");
  const number = selected && !isGone(selected) ? selected : fresh(said, history.now);
  if (!mayAdd(number)) return false;
  const before = promptOf(said, history.now, number) || BLANK;
  selected = number;
  picked = null;
  return commit(put(said, history.now, number, { ...before, box }),
    `Object ${number}: box from ${coordinates(box)} to ${coordinates(box.slice(2))}.${holds(number)}`);
}
// Where something that is moved would be: `hold` is { number, kind, index } as `handleAt` gives it.
function movedTo(hold, where) {
  const prompt = promptOf(said, history.now, hold.number), at = kept(where);
  if (hold.kind === "box") return put(said, history.now, hold.number, { ...prompt, box: movedBox(prompt.box, hold.index, at) });
  return put(said, history.now, hold.number, movedPoint(prompt, hold.kind, hold.index, at));
}
function drop(hold, where) {
  carried = null;
  const name = hold.kind === "box" ? "box" : hold.kind === "positive" ? "point inside" : "point outside";
  if (!mayAdd(hold.number) || !commit(movedTo(hold, where), `Object ${hold.number}: ${name} moved to ${coordinates(kept(where))}.`)) refresh();
}
function remove() {
  const object = objectOf(selected);
  if (!mayEdit() || !object || !mayAdd(selected)) return false;
  const number = selected;
  if (picked && picked.kind !== "box") {
    const { kind, index } = picked;
    const left = withoutPoint(object.prompt, kind, index);
    picked = null;
    return commit(put(said, history.now, number, left), `Object ${number}: point ${kind === "positive" ? "inside" : "outside"} deleted.`);
  }
  if (picked && object.prompt.box) {
    picked = null;
    return commit(put(said, history.now, number, { ...object.prompt, box: null }), `Object ${number}: box deleted.`);
  }
  return commit(put(said, history.now, number, null), `Object ${number} deleted.`);
}
function restoreSelected() {
  if (!mayEdit() || !said.has(selected)) return false;
  return commit(restored(history.now, selected), `Object ${selected}: back to what the model said.`);
}
function restoreAll() {
  return mayEdit() && commit({}, "Everything is back to what the model said.");
}
function clearAll() {
  const many = Object.keys(cleared(said)).length > limits.objects;
  if (many) return refuse(`At most ${limits.objects} objects can be crossed out at once.`);
  return mayEdit() && commit(cleared(said), "All objects are deleted. Undo brings them back.");
}
function letGo() {
  select(0);
  say("Nothing is selected. The next click begins a new object, or adds to the one that it meets.");
}
function travel(step, words) {
  if (!mayEdit()) return;
  const next = step(history);
  if (!next) return say("There is nothing to " + words + ".");
  const changed = differing(said, history.now, next.now);
  history = next;
  revision += 1;
  picked = null;
  if (changed.length) selected = changed[changed.length - 1];
  after((words === "undo" ? "Undone" : "Done again") + (changed.length ? ": object " + changed.join(", ") + "." : "."));
}
const undo = () => travel(undone, "undo");
const redo = () => travel(redone, "redo");
function useTool(name) {
  tool = name;
  draft = null;
  refresh();
  say(`The next press draws ${TOOLS[name]}.`);
}

// --- what is where ---------------------------------------------------------------------------------------------------
// The object whose mask is there, else the smallest box.
function objectAt(px, py) {
  const [x, y] = onImage([px, py]);
  if (!inside([x, y])) return 0;
  const objects = standing(said, history.now);
  if (labels) {
    const lx = Math.floor(x * labels.width / scene.image.width), ly = Math.floor(y * labels.height / scene.image.height);
    const n = labels.index[ly * labels.width + lx];
    if (n && !labels.veiled.has(n)) return n;
  }
  let found = 0, least = Infinity;
  for (const { number, prompt: { box } } of objects) {
    if (!box || x < box[0] || y < box[1] || x > box[2] || y > box[3]) continue;
    const area = (box[2] - box[0]) * (box[3] - box[1]);
    if (area < least) [found, least] = [number, area];
  }
  return found;
}
// A point, a corner, a plate or an edge under the pointer: { number, kind, index } or null. Those of the selected object
// come first; reach: CSS pixels around the pointer.
function handleAt(px, py, reach) {
  const order = (list) => [...list].sort((a, b) => (b.number === selected) - (a.number === selected));
  const objects = order(standing(said, history.now));
  let best = null, least = reach + 1;
  for (const { number, prompt } of objects) {
    for (const kind of KINDS) {
      prompt[kind].forEach((p, index) => {
        const [x, y] = onStage(p), far = Math.hypot(x - px, y - py) + (number === selected ? 0 : 0.5);
        if (far <= least) { best = { number, kind, index }; least = far; }
      });
    }
  }
  if (best) return best;
  for (const { number, prompt } of objects) {
    if (!prompt.box || number !== selected) continue;
    const names = ["nw", "ne", "se", "sw"];
    corners(prompt.box).forEach((corner, i) => {
      const [x, y] = onStage(corner), far = Math.hypot(x - px, y - py);
      if (far <= least) { best = { number, kind: "box", index: names[i] }; least = far; }
    });
  }
  if (best) return best;
  const plates = [...objects, ...crossedOut(said, history.now).map((number) => ({ number, prompt: said.get(number), mark: "gone" }))];
  for (const { number, prompt, mark } of plates) {
    const [left, top, width, height] = tagOf(number, prompt, mark);
    if (px >= left && px <= left + width && py >= top && py <= top + height) return { number, kind: "plate", index: 0 };
  }
  const near = reach * 0.6;
  for (const { number, prompt } of objects) {
    if (!prompt.box) continue;
    const [left, top, width, height] = rectangle(prompt.box), right = left + width, bottom = top + height;
    const between = (v, a, b) => v > a - near && v < b + near;
    const side = (between(py, top, bottom) ? (Math.abs(px - left) <= near ? "w" : Math.abs(px - right) <= near ? "e" : "") : "");
    const rise = (between(px, left, right) ? (Math.abs(py - top) <= near ? "n" : Math.abs(py - bottom) <= near ? "s" : "") : "");
    if (side || rise) return { number, kind: "box", index: rise + side };
  }
  return null;
}
function hover(number) {
  if (number === hovered) return;
  hovered = number;
  lit = number && labels && !labels.veiled.has(number) ? { fill: tint(labels, number, false), edge: tint(labels, number, true) } : null;
  const object = scene.objects.find((o) => o.number === number);
  tip.hidden = !object || !isFilled(number);
  if (object) tip.textContent = object.tip;
  aim();
  draw();
}

// --- the buttons -----------------------------------------------------------------------------------------------------
for (const button of toolButtons) button.addEventListener("click", () => useTool(button.dataset.tool));
const BUTTONS = { undo, redo, fresh: letGo, delete: remove, restore: restoreSelected, original: restoreAll, clear: clearAll };
for (const [name, act] of Object.entries(BUTTONS)) part(name).addEventListener("click", act);
