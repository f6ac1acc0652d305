// Keeps what is typed into a form on this device until the site has it: a page that is closed or killed loses nothing.
// Each person's drafts are their own; they go when they were sent, and after a month.

const PREFIX = "draft:";
const SENT = "draft-sent";
const MONTH_MS = 30 * 24 * 3600 * 1000;

const user = () => document.body.dataset.user ?? "";

function fields(form) {
  return [...form.elements].filter((field) => field.name && !["hidden", "file", "password", "submit", "button"].includes(field.type));
}

function state(form) {
  return fields(form).map((field) => [field.name, field.type === "checkbox" || field.type === "radio" ? [field.value, field.checked] : field.value]);
}

function keep(form, key) {
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), state: state(form) }));
  } catch {
    // The device is full or forbids it: the form still works.
  }
}

function restore(form, kept) {
  for (const [name, value] of kept.state) {
    const named = fields(form).filter((field) => field.name === name);
    for (const field of named) {
      if (Array.isArray(value)) {
        if (field.value === value[0]) field.checked = value[1];
      } else if (field.type !== "checkbox" && field.type !== "radio") {
        field.value = value;
        if (value && field.closest("details")) field.closest("details").open = true;
      }
    }
  }
}

/** Forgets what was sent: the page that says so is here. */
function forget_sent() {
  const sent = sessionStorage.getItem(SENT);
  if (sent && document.getElementById("said")) localStorage.removeItem(sent);
  sessionStorage.removeItem(SENT);
  for (const key of Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))) {
    try {
      if (Date.now() - JSON.parse(localStorage.getItem(key)).at > MONTH_MS) localStorage.removeItem(key);
    } catch {
      localStorage.removeItem(key);
    }
  }
}

export function drafts() {
  if (!user()) return;
  try {
    forget_sent();
  } catch {
    return;
  }
  for (const form of document.querySelectorAll("form[data-draft]")) {
    const key = `${PREFIX}${user()}:${form.dataset.draft}`;
    const clean = JSON.stringify(state(form));
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      // A form that came back with complaints shows what was sent: that is newer.
      if (kept && !form.querySelector("[role=alert]")) restore(form, kept);
    } catch {
      localStorage.removeItem(key);
    }
    form.addEventListener("input", () => keep(form, key));
    // A script has kept it better, and sends it.
    document.addEventListener("draft-done", (event) => {
      if (event.detail !== form) return;
      localStorage.removeItem(key);
      sessionStorage.removeItem(SENT);
    });
    form.addEventListener("submit", () => {
      if (JSON.stringify(state(form)) !== clean) keep(form, key);
      sessionStorage.setItem(SENT, key);
    });
  }
}
