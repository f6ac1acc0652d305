// Parts of a page that are brought up to date by reading the page again: `data-piece` names them. Forms are outside of them,
// so nothing that somebody types is ever replaced.

let under_way = null;

/** Reads `url` and puts its pieces in; answers whether it could. A newer call ends an older one. */
export async function pieces(url) {
  under_way?.abort();
  const stop = (under_way = new AbortController());
  let text;
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, signal: stop.signal, credentials: "same-origin" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.assign(answer.url);
      return false;
    }
    if (!(answer.headers.get("content-type") ?? "").startsWith("text/html")) return false;
    text = await answer.text();
  } catch {
    return false;
  }
  if (stop.signal.aborted) return false;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const old of document.querySelectorAll("[data-piece]")) {
    const piece = fresh.querySelector(`[data-piece="${CSS.escape(old.dataset.piece)}"]`);
    if (piece && piece.outerHTML !== old.outerHTML) replace(old, piece);
  }
  return true;
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const at = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") && `a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.className);
  old.replaceWith(document.adoptNode(fresh));
  for (const details of fresh.querySelectorAll("details")) {
    if (open.includes(details.className)) details.open = true;
  }
  if (at) fresh.querySelector(at)?.focus({ preventScroll: true });
}
