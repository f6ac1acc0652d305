// A picture that is still being made, or on its way from a store, is tried again until it is there.

const TRIES_MS = [1500, 3000, 6000, 15000, 30000, 60000];

export function pictures() {
  const wait = (image) => {
    const tried = Number(image.dataset.tried ?? 0);
    image.classList.add("is-waiting");
    if (tried >= TRIES_MS.length || !image.src.startsWith(location.origin)) return;
    image.dataset.tried = tried + 1;
    setTimeout(() => {
      const from = image.src;
      image.removeAttribute("src");
      image.src = from;
    }, TRIES_MS[tried]);
  };
  addEventListener("error", (event) => event.target.tagName === "IMG" && wait(event.target), true);
  addEventListener("load", (event) => event.target.tagName === "IMG" && event.target.classList.remove("is-waiting"), true);
  for (const image of document.images) {
    if (image.complete && image.src && !image.naturalWidth) wait(image);
  }
}
