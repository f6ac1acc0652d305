// Looks at photos one after the other, large. Without it the links show each by itself.

export function viewers() {
  addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-viewer] a[href$='/display']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show([...link.closest("[data-viewer]").querySelectorAll("a[href$='/display']")], link);
  });
}

function show(links, first) {
  const words = first.closest("[data-viewer]").dataset;
  const dialog = document.createElement("dialog");
  dialog.className = "viewer";
  dialog.setAttribute("aria-label", words.viewer);
  const image = document.createElement("img");
  const caption = document.createElement("p");
  const button = (text, label, go) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", go);
    return made;
  };
  let at = links.indexOf(first);
  const step = (by) => {
    at = (at + by + links.length) % links.length;
    const thumbnail = links[at].querySelector("img");
    image.src = links[at].href;
    image.alt = thumbnail?.alt ?? "";
    caption.textContent = `${at + 1} / ${links.length}  ${image.alt}`;
  };
  const bar = document.createElement("div");
  bar.className = "viewer-bar";
  bar.append(caption);
  if (links.length > 1) bar.append(button("‹", words.previous, () => step(-1)), button("›", words.next, () => step(1)));
  bar.append(button("✕", words.close, () => dialog.close()));
  dialog.append(bar, image);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    links[at].focus();
  });
  document.body.append(dialog);
  step(0);
  dialog.showModal();
}
