// The canvas, part 8: a picture that is dropped, pasted or chosen.
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
