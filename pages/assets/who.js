// Whose page it is. The page that stands in without a network says nobody: it is whoever was here last.

const LAST = "last-user";

// Somebody else works on this device by now: what is on the screen is the last one's, and so would be what is sent from it.
const leave = (event) => {
  if (event.key === LAST && event.newValue && document.body.dataset.user && event.newValue !== document.body.dataset.user) location.reload();
};

try {
  if (document.body.dataset.user) localStorage.setItem(LAST, document.body.dataset.user);
  else if ("offline" in document.body.dataset) document.body.dataset.user = localStorage.getItem(LAST) ?? "";
  if (!("offline" in document.body.dataset)) addEventListener("storage", leave);
} catch {
  // Nothing is kept on this device, so nothing is anybody's.
}
