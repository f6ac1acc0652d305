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
  dispatchEvent(new Event("pieces"));
  return true;
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const at = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") && `a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
  // What was chosen in a list, and typed beside it, stays.
  const chosen = new Set([...old.querySelectorAll("input[type=checkbox][name=id]:checked")].map((box) => box.value));
  const typed = [...old.querySelectorAll("form[data-bulk] input[name]:not([type])")].map((field) => [field.name, field.value]);
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.className);
  for (const box of fresh.querySelectorAll("input[type=checkbox][name=id]")) box.checked = chosen.has(box.value);
  for (const [name, value] of typed) {
    const field = fresh.querySelector(`form[data-bulk] input[name="${CSS.escape(name)}"]`);
    if (field) field.value = value;
  }
  const named = !at && focused?.name && `[name="${CSS.escape(focused.name)}"]${focused.type === "checkbox" ? `[value="${CSS.escape(focused.value)}"]` : ""}`;
  old.replaceWith(document.adoptNode(fresh));
  for (const details of fresh.querySelectorAll("details")) {
    if (open.includes(details.className)) details.open = true;
  }
  if (at || named) fresh.querySelector(at || named)?.focus({ preventScroll: true });
}
