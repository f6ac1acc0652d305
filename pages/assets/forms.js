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

/** Shows what was chosen to be sent along, at once. */
export function chosen() {
  for (const part of document.querySelectorAll(".photos-in")) {
    const list = part.querySelector(".chosen");
    part.addEventListener("change", () => {
      for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
      list.replaceChildren();
      for (const field of part.querySelectorAll("input[type=file]")) {
        for (const file of field.files) list.append(one(file));
      }
    });
  }
}

function one(file) {
  const item = document.createElement("li");
  if (file.type.startsWith("image/")) {
    const image = document.createElement("img");
    image.src = URL.createObjectURL(file);
    image.alt = file.name;
    item.append(image);
  } else {
    item.textContent = file.name;
  }
  return item;
}
