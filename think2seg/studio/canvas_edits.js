// The canvas, part 3: edits and their history. Pure: nothing in here knows the page or the server, and nothing is
// changed in place.
//
// A prompt is { box: [x1, y1, x2, y2] or null, positive: [[x, y], …], negative: [[x, y], …] } in source pixels. What the
// model said is a Map from numbers to prompts. What a person drew is an object from numbers to prompts, or to null for
// crossed out; a number that it lacks is as the model said.
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const BLANK = { box: null, positive: [], negative: [] };
const KINDS = ["positive", "negative"];

// All objects as they stand: [{ number, prompt, mark }], mark: model, edited or added.
function standing(said, drawn) {
  const found = [];
  for (const [number, prompt] of said) {
    if (!(number in drawn)) found.push({ number, prompt, mark: "model" });
    else if (drawn[number]) found.push({ number, prompt: drawn[number], mark: "edited" });
  }
  for (const name of Object.keys(drawn)) {
    if (!said.has(Number(name)) && drawn[name]) found.push({ number: Number(name), prompt: drawn[name], mark: "added" });
  }
  return found.sort((a, b) => a.number - b.number);
}
const promptOf = (said, drawn, number) => (number in drawn ? drawn[number] : said.get(number) || null);
const crossedOut = (said, drawn) => [...said.keys()].filter((n) => drawn[n] === null);
function fresh(said, drawn) {
  return Math.max(0, ...said.keys(), ...Object.keys(drawn).map(Number)) + 1;
}
// `drawn` with another prompt for `number`, null to take it away; what is as the model said is not kept as drawn.
function put(said, drawn, number, prompt) {
  const next = { ...drawn };
  const empty = !prompt || (!prompt.box && !prompt.positive.length && !prompt.negative.length);
  if (!empty && same(prompt, said.get(number))) delete next[number];
  else if (!empty) next[number] = prompt;
  else if (said.has(number)) next[number] = null;
  else delete next[number];
  return next;
}
function restored(drawn, number) {
  const next = { ...drawn };
  delete next[number];
  return next;
}
function cleared(said) {
  return Object.fromEntries([...said.keys()].map((n) => [n, null]));
}
// Numbers whose prompts differ between two states.
function differing(said, one, other) {
  const numbers = new Set([...Object.keys(one), ...Object.keys(other)].map(Number));
  return [...numbers].filter((n) => !same(promptOf(said, one, n), promptOf(said, other, n)));
}
const startable = (prompt) => Boolean(prompt.box || prompt.positive.length);
const countPoints = (prompt) => prompt.positive.length + prompt.negative.length;

const withPoint = (prompt, kind, at) => ({ ...prompt, [kind]: [...prompt[kind], at] });
const withoutPoint = (prompt, kind, i) => ({ ...prompt, [kind]: prompt[kind].filter((_p, k) => k !== i) });
const movedPoint = (prompt, kind, i, at) => ({ ...prompt, [kind]: prompt[kind].map((p, k) => (k === i ? at : p)) });
// A box from two corners in any order; null if it has no area.
function boxOf([ax, ay], [bx, by]) {
  const box = [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
  return box[2] - box[0] >= 1 && box[3] - box[1] >= 1 ? box : null;
}
// Which sides of a box a handle moves: "nw" the left and the top one. Sides that pass each other change their names.
function movedBox(box, handle, [x, y]) {
  const next = [...box];
  if (handle.includes("w")) next[0] = x;
  if (handle.includes("e")) next[2] = x;
  if (handle.includes("n")) next[1] = y;
  if (handle.includes("s")) next[3] = y;
  return boxOf([next[0], next[1]], [next[2], next[3]]) || box;
}

const LONGEST_PAST = 500;
const beginning = () => ({ past: [], now: {}, future: [] });
function stepped(history, drawn) {
  return { past: [...history.past, history.now].slice(-LONGEST_PAST), now: drawn, future: [] };
}
function undone({ past, now, future }) {
  return past.length ? { past: past.slice(0, -1), now: past[past.length - 1], future: [now, ...future] } : null;
}
function redone({ past, now, future }) {
  return future.length ? { past: [...past, now], now: future[0], future: future.slice(1) } : null;
}
