// The canvas, part 9: what the server says. Of one story only a scene that is not older than the last one counts, and
// what a person drew meanwhile stays.
let newest = 0, retry = 0;
const address = (file) => {
  const held = window.gradio_config || {};
  return (held.root || location.origin) + (held.api_prefix || "/gradio_api") + "/file=" + file;
};
const bitmap = async (file) => {
  const answer = await fetch(file.startsWith("data:image/png;base64,") ? file : address(file));
  if (!answer.ok) throw new Error("The picture is no longer on the server (" + answer.status + "). Upload it again.");
  return createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
};
const isOlder = (next) => Boolean(next.image) && (next.story < scene.story || (next.story === scene.story && next.edit < scene.edit));

async function take() {
  const next = props.scene;
  if (!next || isOlder(next)) return;
  const mine = ++newest;
  figure.ariaBusy = "true"; // until it is painted
  try {
    const image = next.image ? next.image.file : null, mask = next.labels;
    const [seen, read] = await Promise.all([
      image === pictureFile ? picture : image ? bitmap(image) : null,
      mask === labelsFile ? labels : mask ? bitmap(mask).then(readLabels) : null,
    ]);
    if (mine !== newest) return; // a newer scene came meanwhile
    if (image !== pictureFile) { look = { zoom: 1, x: 0, y: 0 }; crosshair = null; }
    if (next.story !== scene.story) newStory();
    [scene, picture, pictureFile, labels, labelsFile] = [next, seen, image, read, mask];
    said = new Map(next.objects.filter((o) => o.said).map(({ number, box, positive, negative }) => [number, { box, positive, negative }]));
    for (const old of [...sentAt.keys()]) if (old < next.edit) sentAt.delete(old);
    hovered = 0;
    lit = null;
    tip.hidden = true;
    hint.hidden = Boolean(picture);
    zoomBar.hidden = bar.hidden = target.hidden = help.hidden = !picture;
    shape(); keepInView(); refresh();
    summary.textContent = next.summary || "";
    view.setAttribute("aria-label", !picture ? "No picture yet" : next.summary || "The picture, not asked about yet");
    figure.dataset.masks = next.objects.filter((o) => o.masked).length;
    figure.dataset.painted = next.edit;
    figure.dataset.story = next.story;
    figure.dataset.rev = next.rev;
    remind(4);
  } catch (error) {
    announce({ name: "error", words: String(error.message || error) });
  } finally {
    if (mine === newest) figure.ariaBusy = "false";
  }
}
function newStory() {
  history = beginning();
  revision = selected = 0;
  picked = draft = carried = null;
  sentAt = new Map([[0, {}]]);
  figure.dataset.edit = 0;
  told.textContent = "";
}
// Nothing that was drawn is left without an answer: if none comes, it is told again, a few times.
function remind(times) {
  clearTimeout(retry);
  if (!times || busy || revision <= scene.edit) return;
  retry = setTimeout(() => { if (revision > scene.edit && !busy) { trigger("edited", {}); remind(times - 1); } }, 2500);
}
const MARKS = { nothing: "\u2205", unreadable: "?", error: "!", stopped: "\u25a0" };
function announce(phase) {
  figure.dataset.phase = phase.name;
  notice.className = "notice " + phase.name;
  notice.hidden = !phase.words;
  notice.querySelector(".mark").textContent = MARKS[phase.name] || "";
  notice.querySelector(".words").textContent = phase.words || "";
  busy = phase.name === "busy";
  if (busy) draft = carried = null;
  refresh();
}

// The server's props. Their names stay out of quotes of any kind in these files, comments included: gradio takes a
// quoted name in here for an event of ours, and would send it along.
const served = Object.keys({ scene: 0, phase: 0 });
watch(served[0], take);
watch(served[1], () => announce(props.phase));
new ResizeObserver(() => { shape(); keepInView(); draw(); }).observe(element);
take();
