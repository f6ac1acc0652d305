// Whose page it is. The page that stands in without a network says nobody: it is whoever was here last.

const LAST = "last-user";

try {
  if (document.body.dataset.user) localStorage.setItem(LAST, document.body.dataset.user);
  else if ("offline" in document.body.dataset) document.body.dataset.user = localStorage.getItem(LAST) ?? "";
} catch {
  // Nothing is kept on this device, so nothing is anybody's.
}
