// Forms: more people and items without saving in between, and a reason where one is needed.

export function entries() {
  for (const list of document.querySelectorAll("[data-entries]")) {
    const add = document.createElement("button");
    add.type = "button";
    add.textContent = list.dataset.add;
    add.addEventListener("click", () => {
      const last = [...list.querySelectorAll(".entry")].at(-1);
      const key = last.dataset.entry;
      const next = `new${(Number(key.replace("new", "")) || 0) + 1}`;
      const copy = last.cloneNode(true);
      copy.dataset.entry = next;
      for (const field of copy.querySelectorAll("[name]")) {
        field.name = field.name.replace(`.${key}.`, `.${next}.`);
        if (field.type === "checkbox") field.checked = false;
        else field.value = "";
      }
      for (const details of copy.querySelectorAll("details")) details.open = false;
      last.after(copy);
      copy.querySelector("input, textarea").focus();
    });
    list.after(add);
  }
}

export function reasons() {
  addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-needs-reason]");
    const reason = button?.form?.elements.reason;
    if (!reason) return;
    reason.required = true;
    if (!reason.value.trim()) reason.focus();
    setTimeout(() => (reason.required = false), 0);
  });
}
