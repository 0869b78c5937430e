// The canvas, part 4: what is painted, from the picture at the bottom to the crosshair on top. It changes nothing.
const DARK = "rgba(17,24,39,.62)";

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
  const objects = shownObjects();
  if (labels) {
    const opacity = slider.value / 100;
    const layer = (paper, alpha) => { context.globalAlpha = alpha; context.drawImage(paper, at.x, at.y, pw, ph); };
    layer(labels.fill, hovered ? opacity * 0.4 : opacity);
    layer(labels.edge, hovered ? 0.45 : 0.95);
    if (lit && !labels.veiled.has(hovered)) { layer(lit.fill, Math.min(1, opacity + 0.2)); layer(lit.edge, 1); }
    context.globalAlpha = 1;
  }
  for (const [number, prompt] of ghosts()) paintGhost(number, prompt);
  const front = objects.filter((o) => o.number === selected);
  for (const object of [...objects.filter((o) => o.number !== selected), ...front]) paintObject(object);
  if (draft) paintDraft(draft);
  if (crosshair) paintCrosshair(crosshair);
}

function strokes(shape, colour, width, dashes) {
  for (const [ink, w, dashed] of [[DARK, width + 3.5, []], ["#fff", width + 2, []], [colour, width, dashes]]) {
    context.strokeStyle = ink;
    context.lineWidth = w;
    context.setLineDash(dashed);
    shape();
  }
  context.setLineDash([]);
}
function rectangle([x1, y1, x2, y2]) {
  const [px, py] = onStage([x1, y1]), [qx, qy] = onStage([x2, y2]);
  return [px, py, qx - px, qy - py];
}
function paintObject({ number, prompt, mark }) {
  const chosen = number === selected;
  context.globalAlpha = hovered && hovered !== number && !chosen ? 0.35 : 1;
  const colour = css(number), waits = !isFilled(number);
  if (prompt.box) {
    const at = rectangle(prompt.box);
    strokes(() => context.strokeRect(...at), colour, chosen || hovered === number ? 3.5 : 2.5, waits ? [7, 5] : []);
    if (chosen) for (const [x, y] of corners(prompt.box)) paintCorner(...onStage([x, y]), colour);
  }
  prompt.positive.forEach((p, i) => paintPoint(onStage(p), number, "positive", isPicked(number, "positive", i)));
  prompt.negative.forEach((p, i) => paintPoint(onStage(p), number, "negative", isPicked(number, "negative", i)));
  paintTag(number, prompt, mark);
  context.globalAlpha = 1;
}
function paintPoint([x, y], number, kind, chosen) {
  if (chosen) {
    context.beginPath(); context.arc(x, y, 14, 0, 2 * Math.PI);
    context.strokeStyle = DARK; context.lineWidth = 5; context.stroke();
    context.strokeStyle = "#fff"; context.lineWidth = 2.5; context.stroke();
  }
  context.beginPath();
  if (kind === "positive") context.arc(x, y, 7.5, 0, 2 * Math.PI);
  else context.rect(x - 7, y - 7, 14, 14);
  context.lineWidth = 5; context.strokeStyle = DARK; context.stroke();
  context.lineWidth = 3; context.strokeStyle = "#fff"; context.stroke();
  context.fillStyle = kind === "positive" ? css(number) : "#c81e1e"; context.fill();
  context.beginPath(); context.moveTo(x - 4, y); context.lineTo(x + 4, y);
  if (kind === "positive") { context.moveTo(x, y - 4); context.lineTo(x, y + 4); }
  context.strokeStyle = kind === "positive" && bright(number) ? "#111827" : "#fff"; context.lineWidth = 2; context.stroke();
}
function paintCorner(x, y, colour) {
  context.beginPath(); context.rect(x - 4.5, y - 4.5, 9, 9);
  context.lineWidth = 3.5; context.strokeStyle = DARK; context.stroke();
  context.fillStyle = "#fff"; context.fill();
  context.lineWidth = 1.5; context.strokeStyle = colour; context.stroke();
}
// The number's plate, at the box's corner or above the first point; with a dot where a person changed or added it.
function tagOf(number, prompt, mark) {
  const [x, y] = onStage(prompt.box ? prompt.box.slice(0, 2) : prompt.positive[0] || prompt.negative[0] || [0, 0]);
  context.font = "600 13px system-ui, sans-serif";
  const width = context.measureText(String(number)).width + (mark === "model" || mark === "gone" ? 12 : 24);
  const left = prompt.box ? x - 1 : x + 9;
  return [Math.max(0, Math.min(left, stage.clientWidth - width)), Math.max(0, Math.min(y - 27, stage.clientHeight - 21)), width, 20];
}
function paintTag(number, prompt, mark) {
  const [left, top, width, height] = tagOf(number, prompt, mark), ink = bright(number) ? "#111827" : "#fff";
  context.beginPath(); context.roundRect(left, top, width, height, 6);
  context.lineWidth = 4; context.strokeStyle = DARK; context.stroke();
  context.fillStyle = css(number); context.fill();
  context.strokeStyle = "#fff"; context.lineWidth = number === selected ? 2.5 : 1.25; context.stroke();
  context.fillStyle = ink; context.textBaseline = "middle";
  context.fillText(String(number), left + 6, top + height / 2 + 0.5);
  if (mark === "edited" || mark === "added") {
    const x = left + width - 9, y = top + height / 2;
    context.beginPath();
    if (mark === "added") { context.arc(x + 1, y, 3.25, 0, 2 * Math.PI); context.fill(); }
    else { // a pencil
      context.moveTo(x - 3.5, y + 4); context.lineTo(x - 3, y + 1.5); context.lineTo(x + 3, y - 4.5); context.lineTo(x + 5, y - 2.5);
      context.lineTo(x - 1, y + 3.5); context.closePath(); context.fill();
    }
  }
}
// What the model said, where a person changed it: thin, white and hollow.
function paintGhost(number, prompt) {
  context.globalAlpha = number === selected ? 1 : 0.8;
  const thin = (shape) => {
    for (const [ink, w] of [["rgba(17,24,39,.8)", 4], ["#fff", 1.75]]) { context.strokeStyle = ink; context.lineWidth = w; shape(); }
  };
  context.setLineDash([5, 4]);
  if (prompt.box) { const at = rectangle(prompt.box); thin(() => context.strokeRect(...at)); }
  context.setLineDash([]);
  for (const kind of KINDS) {
    for (const p of prompt[kind]) {
      const [x, y] = onStage(p);
      context.beginPath();
      if (kind === "positive") context.arc(x, y, 5.5, 0, 2 * Math.PI); else context.rect(x - 5, y - 5, 10, 10);
      context.moveTo(x - 2.5, y); context.lineTo(x + 2.5, y);
      if (kind === "positive") { context.moveTo(x, y - 2.5); context.lineTo(x, y + 2.5); }
      thin(() => context.stroke());
    }
  }
  if (isGone(number)) {
    const [left, top, width, height] = tagOf(number, prompt, "gone");
    context.beginPath(); context.roundRect(left, top, width, height, 6);
    context.fillStyle = "rgba(17,24,39,.72)"; context.fill();
    context.strokeStyle = "#fff"; context.lineWidth = number === selected ? 2.5 : 1; context.stroke();
    context.fillStyle = "#fff"; context.textBaseline = "middle"; context.fillText(String(number), left + 6, top + height / 2 + 0.5);
    context.beginPath(); context.moveTo(left + 3, top + height / 2); context.lineTo(left + width - 3, top + height / 2); context.stroke();
  }
  context.globalAlpha = 1;
}
function paintDraft({ from, to, number }) {
  const [x1, y1] = onStage(from), [x2, y2] = onStage(to);
  strokes(() => context.strokeRect(x1, y1, x2 - x1, y2 - y1), css(number), 2.5, [7, 5]);
}
function paintCrosshair(at) {
  const [x, y] = onStage(at), gap = 6, arm = 22;
  for (const [ink, width] of [["rgba(17,24,39,.8)", 5], ["#fff", 2]]) {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * gap, y + dy * gap); context.lineTo(x + dx * arm, y + dy * arm);
    }
    context.strokeStyle = ink; context.lineWidth = width; context.lineCap = "round"; context.stroke();
  }
  context.lineCap = "butt";
  context.beginPath(); context.arc(x, y, 1.75, 0, 2 * Math.PI); context.fillStyle = carried ? "#ffd54a" : "#fff"; context.fill();
}
