// Choosing rows of the list: how many, all of them, and from one to another with the shift key. What is chosen stays so while the
// list is brought up to date (pieces.js keeps it). By keyboard: the space bar chooses, Enter goes to what can be done.

export function bulk() {
  addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-bulk]");
    if (!form) return;
    if (event.target.matches("[data-all]")) {
      for (const box of boxes(form)) box.checked = event.target.checked;
    }
    count(form);
  });
  let last = null;
  addEventListener("click", (event) => {
    const box = event.target;
    const form = box.closest?.("form[data-bulk]");
    if (!form || !box.matches('input[name="id"]')) return;
    const all = boxes(form);
    const [from, to] = [all.findIndex((one) => one.value === last), all.indexOf(box)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) {
      for (const one of all.slice(from, to + 1)) one.checked = box.checked;
    }
    last = box.value;
    count(form);
  });
  addEventListener("keydown", (event) => {
    const form = event.target.closest?.("form[data-bulk]");
    if (event.key !== "Enter" || !form || !event.target.matches("input")) return;
    const part = event.target.closest(".bulk-part");
    if (part) {
      // What stands beside the field, not whatever is the form's first.
      part.querySelector("button").click();
    } else if (event.target.name === "id") {
      form.querySelector(".bulk-bar").open = true;
      form.querySelector("[name=assigned_to]").focus();
    }
    event.preventDefault();
  });
  addEventListener("pageshow", counts);
  addEventListener("pieces", counts);
  counts();
}

function counts() {
  for (const form of document.querySelectorAll("form[data-bulk]")) count(form);
}

function boxes(form) {
  return [...form.querySelectorAll('input[name="id"]')];
}

function count(form) {
  const all = boxes(form);
  const chosen = all.filter((box) => box.checked).length;
  const told = form.querySelector("[data-chosen]");
  const bar = form.querySelector(".bulk-bar");
  if (told.textContent !== String(chosen) && chosen > 0) {
    document.getElementById("live").textContent = bar.dataset.said.replace("{0}", chosen);
  }
  told.hidden = chosen === 0;
  told.textContent = chosen;
  if (chosen > 0) bar.open = true;
  const every = form.querySelector("[data-all]");
  every.checked = chosen > 0 && chosen === all.length;
  every.indeterminate = chosen > 0 && chosen < all.length;
}
