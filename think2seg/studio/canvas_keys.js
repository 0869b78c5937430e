// The canvas, part 7: the keyboard alone does everything. Arrow keys move a crosshair over the picture, Enter presses
// there; Tab goes through objects, points and corners, and out at either end.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const help = part("help");

// All that Tab stops at: [{ number, kind, index, at }].
function stops() {
  const found = [];
  for (const { number, prompt } of standing(said, history.now)) {
    const first = prompt.box ? prompt.box.slice(0, 2) : prompt.positive[0] || prompt.negative[0];
    found.push({ number, kind: "plate", index: 0, at: first });
    for (const kind of KINDS) prompt[kind].forEach((at, index) => found.push({ number, kind, index, at }));
    if (prompt.box) for (const [i, index] of [[0, "nw"], [2, "se"]]) found.push({ number, kind: "box", index, at: corners(prompt.box)[i] });
  }
  for (const number of crossedOut(said, history.now)) {
    const prompt = said.get(number);
    found.push({ number, kind: "plate", index: 0, at: prompt.box ? prompt.box.slice(0, 2) : prompt.positive[0] });
  }
  return found.sort((a, b) => a.number - b.number);
}
const atStop = (list) => list.findIndex((s) => s.number === selected
  && (picked ? s.kind === picked.kind && s.index === picked.index : s.kind === "plate"));
function tab(backwards) {
  const list = stops(), here = selected ? atStop(list) : backwards ? list.length : -1;
  const next = list[here + (backwards ? -1 : 1)];
  if (!next) return false;
  select(next.number, next.kind === "plate" ? null : { kind: next.kind, index: next.index });
  point(next.at);
  const what = { plate: "", positive: ", point inside", negative: ", point outside", box: next.index === "nw" ? ", box, upper left corner" : ", box, lower right corner" }[next.kind];
  say(`Object ${next.number}${what}, at ${coordinates(next.at)}.` + (isGone(next.number) ? " Crossed out." : next.kind === "plate" ? holds(next.number) : " Enter picks it up."));
  return true;
}
// Put the crosshair at a place of the image, and that place into view.
function point(at) {
  crosshair = kept(at);
  const [x, y] = onStage(crosshair), rim = 40;
  const over = (v, side) => (v < rim ? rim - v : v > side - rim ? side - rim - v : 0);
  if (zoomed()) { look.x += over(x, stage.clientWidth); look.y += over(y, stage.clientHeight); keepInView(); }
  if (carried) carried.preview = movedTo(carried.hold, crosshair);
  if (draft) draft.to = crosshair;
  refresh();
}
function go(step, event) {
  if (event.shiftKey && !carried && !draft) return pan(-60 * step[0], -60 * step[1]);
  const far = event.altKey ? 1 : event.ctrlKey || event.metaKey ? 60 : 12, { s } = frame();
  const from = crosshair || onImage([stage.clientWidth / 2, stage.clientHeight / 2]);
  point([from[0] + step[0] * far / s, from[1] + step[1] * far / s]);
  say(coordinates(crosshair));
}
function pressKey(negative) {
  if (!crosshair) { point(onImage([stage.clientWidth / 2, stage.clientHeight / 2])); return say("The crosshair is in the middle. Arrow keys move it, Enter presses."); }
  if (carried) return drop(carried.hold, crosshair);
  if (draft) { const { from, to } = draft; draft = null; setBox(boxOf(from, to)); return refresh(); }
  const stop = selected && picked && stops()[atStop(stops())];
  if (stop && !negative && same(kept(stop.at), crosshair) && mayEdit()) {
    carried = { hold: stop, preview: history.now, keys: true };
    refresh();
    return say("Picked up. Arrow keys move it, Enter puts it down, Escape leaves it where it was.");
  }
  if (tool === "box" && !negative) {
    if (!mayEdit()) return undefined;
    draft = { from: crosshair, to: crosshair, number: selected && !isGone(selected) ? selected : fresh(said, history.now) };
    refresh();
    return say("First corner. Arrow keys move the other one, Enter finishes the box.");
  }
  return addPoint(negative ? "negative" : tool, crosshair);
}
function escape() {
  if (carried || draft) { carried = draft = null; refresh(); return say("Left as it was."); }
  if (selected) return letGo();
  crosshair = null;
  return draw();
}
const LETTERS = { p: () => useTool("positive"), m: () => useTool("negative"), b: () => useTool("box"), n: letGo, r: restoreSelected };
stage.addEventListener("keydown", (event) => {
  if (event.target !== stage || !picture) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey, letter = LETTERS[event.key.toLowerCase()];
  if (event.key === "Tab") { if (busy || carried || draft || !tab(event.shiftKey)) return; }
  else if (ARROWS[event.key]) go(ARROWS[event.key], event);
  else if (event.key === "Enter" || event.key === " ") pressKey(event.shiftKey);
  else if (event.key === "Escape") escape();
  else if (event.key === "Delete" || event.key === "Backspace") remove();
  else if (plain && (event.key === "+" || event.key === "=")) middle(1.3);
  else if (plain && event.key === "-") middle(1 / 1.3);
  else if (plain && event.key === "0") fit();
  else if (plain && event.key === "?") help.open = !help.open;
  else if (plain && letter && !busy) letter();
  else return;
  event.preventDefault();
});
figure.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || !picture) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) undo();
  else if (key === "y" || (key === "z" && event.shiftKey)) redo();
  else return;
  event.preventDefault();
});
stage.addEventListener("blur", () => { if (!press) { crosshair = draft = carried = null; refresh(); } });
