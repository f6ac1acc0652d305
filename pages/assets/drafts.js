// Keeps what is typed into a form on this device until the site has it: a page that is closed or killed loses nothing.
// Each person's drafts are their own; they go when they were sent, and after a month. A new report is kept at the site, too, while
// that can be reached: its author can go on at another device.
import { new_id } from "./outbox.js";

const PREFIX = "draft:";
const SENT = "draft-sent";
const MONTH_MS = 30 * 24 * 3600 * 1000;
const REST_MS = 1000;
const PATIENCE_MS = 15000;
/** What a form has besides what somebody typed. */
const OURS = ["id", "username", "draft"];

const user = () => document.body.dataset.user ?? "";

function fields(form) {
  return [...form.elements].filter((field) => field.name && !["hidden", "file", "password", "submit", "button"].includes(field.type));
}

function state(form) {
  return fields(form).map((field) => [field.name, field.type === "checkbox" || field.type === "radio" ? [field.value, field.checked] : field.value]);
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    localStorage.removeItem(key);
    return null;
  }
}

function keep(form, key, saved) {
  try {
    localStorage.setItem(key, JSON.stringify({ at: Date.now(), id: form.elements.draft?.value, saved, state: state(form) }));
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
    const kept = read(key);
    if (kept && Date.now() - kept.at > MONTH_MS) localStorage.removeItem(key);
  }
}

/** What keeps a new report at the site: `soon` after something was typed, `stop` when it is sent. */
function at_site(form, key) {
  const line = form.querySelector(".drafted");
  let timer = 0;
  let running = null;

  const say = (what) => {
    line.hidden = false;
    line.querySelector("span").textContent = line.dataset[what];
  };
  const save = async () => {
    clearTimeout(timer);
    timer = 0;
    const draft = form.elements.draft;
    draft.value ||= new_id();
    keep(form, key, false);
    const typed = [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !OURS.includes(name));
    running?.abort();
    const mine = (running = new AbortController());
    let status = 0;
    try {
      const answer = await fetch(`/api/v1/drafts/${draft.value}`, {
        method: "PUT",
        headers: { "content-type": "application/json", accept: "application/json" },
        credentials: "same-origin",
        body: JSON.stringify({ username: user(), fields: typed.map(([name, value]) => ({ name, value })) }),
        signal: AbortSignal.any([mine.signal, AbortSignal.timeout(PATIENCE_MS)]),
      });
      status = answer.status;
    } catch {
      // Without the site it stays on this device.
    }
    // Something newer is under way, or it was sent meanwhile.
    if (running !== mine) return;
    running = null;
    if (status === 410) {
      // What is typed from here on is another draft.
      draft.value = "";
      return say("over");
    }
    if (status === 200 && !timer) keep(form, key, true);
    say(status === 200 ? "pc" : "here");
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(save, REST_MS);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    running?.abort();
    running = null;
    line.hidden = true;
  };
  // Whoever puts the phone away may never come back to this page.
  document.addEventListener("visibilitychange", () => document.hidden && timer && save());
  return { save, soon, stop };
}

/** Where a form is kept on this device. One that is gone on with has its own place, or that of the page where it began. */
function key_of(form) {
  const base = `${PREFIX}${user()}:${form.dataset.draft}`;
  const id = form.elements.draft?.value;
  return !id || read(base)?.id === id ? base : `${base}:${id}`;
}

export function drafts() {
  if (!user()) return;
  try {
    forget_sent();
  } catch {
    return;
  }
  for (const form of document.querySelectorAll("form[data-draft]")) {
    const resumed = form.elements.draft?.value;
    const key = key_of(form);
    const clean = JSON.stringify(state(form));
    const site = form.elements.draft && form.querySelector(".drafted") && "any" in AbortSignal ? at_site(form, key) : null;
    const kept = read(key);
    // A form that came back with complaints shows what was sent: that is newer. So is what the site has, where it has all of it.
    if (kept?.state && !form.querySelector("[role=alert]") && !(resumed && kept.saved)) {
      restore(form, kept);
      if (site) {
        if (!resumed) form.elements.draft.value = kept.id ?? "";
        if (JSON.stringify(state(form)) !== clean) site.save();
      }
    }
    // One goes on behind what is there.
    const first = form.querySelector("textarea[autofocus]");
    first?.setSelectionRange(first.value.length, first.value.length);
    form.addEventListener("input", () => {
      keep(form, key, false);
      site?.soon();
    });
    // A script has kept it better, and sends it.
    document.addEventListener("draft-done", (event) => {
      if (event.detail !== form) return;
      site?.stop();
      if (form.elements.draft) form.elements.draft.value = "";
      localStorage.removeItem(key);
      sessionStorage.removeItem(SENT);
    });
    form.addEventListener("submit", () => {
      site?.stop();
      if (JSON.stringify(state(form)) !== clean) keep(form, key, false);
      sessionStorage.setItem(SENT, key);
    });
  }
}
