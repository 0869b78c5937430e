const cards = element.querySelector(".cards");
for (const { name, question, thumbnail } of props.items) {
  const card = document.createElement("button"), image = document.createElement("img"), words = document.createElement("span");
  card.type = "button";
  card.className = "card";
  card.dataset.name = name;
  image.src = thumbnail;
  image.alt = "";
  words.textContent = question;
  card.append(image, words);
  card.addEventListener("click", () => {
    trigger("chosen", { name });
    document.querySelector("#canvas")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  cards.append(card);
}
