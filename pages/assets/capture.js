// Capturing with or without a network: a report is kept on this device first, then sent by itself.
import "./who.js";
import { all, get, new_id, put, remove, send } from "./outbox.js";

const AGAIN_MS = 5000;
const form = document.querySelector("form[data-capture]");
const box = document.querySelector("[data-outbox]");
const words = box?.dataset ?? {};
const user = document.body.dataset.user;

if (form && box && "indexedDB" in window && user) start();

async function start() {
  navigator.serviceWorker?.register("/sw.js").catch(() => {});
  if (!form.elements.id.value || "offline" in document.body.dataset) form.elements.id.value = new_id();
  form.addEventListener("submit", keep);
  box.addEventListener("click", pressed);
  addEventListener("online", work);
  setInterval(() => document.hidden || work(), AGAIN_MS);
  await show();
  work();
}

/** Keeps the report on this device, and makes room for the next one. */
async function keep(event) {
  event.preventDefault();
  if (form.dataset.busy) return;
  form.dataset.busy = "1";
  try {
    await put(await entry_of(event.submitter));
  } catch {
    // The device keeps nothing, or cannot read a file: the form goes as any form does.
    delete form.dataset.busy;
    form.removeEventListener("submit", keep);
    form.requestSubmit(event.submitter ?? undefined);
    return;
  }
  document.dispatchEvent(new CustomEvent("draft-done", { detail: form }));
  form.reset();
  for (const details of form.querySelectorAll("details")) details.open = false;
  form.querySelector(".chosen")?.replaceChildren();
  form.elements.id.value = new_id();
  delete form.dataset.busy;
  delete form.dataset.at;
  say(words.kept);
  await show();
  box.scrollIntoView({ block: "nearest" });
  work();
}

/** What the form says, with its files. */
async function entry_of(submitter) {
  const fields = [];
  const files = [];
  for (const [name, value] of new FormData(form, submitter)) {
    if (value instanceof File) {
      // The bytes themselves: a reference to a file on a card is worth nothing tomorrow.
      if (value.size) files.push({ name: value.name, type: value.type, blob: new Blob([await value.arrayBuffer()], { type: value.type }) });
    } else if (name !== "id" && name !== "username") {
      fields.push([name, value]);
    }
  }
  // One that was taken back to be changed was written when it was.
  const at = Number(form.dataset.at) || Date.now();
  return { id: form.elements.id.value || new_id(), user, at, fields, files };
}

/** Sends what waits; one page of this browser at a time. */
async function work() {
  if (!navigator.locks) return work_alone();
  await navigator.locks.request("outbox", { ifAvailable: true }, (lock) => lock && work_alone());
}

async function work_alone() {
  for (const entry of (await all()).filter((entry) => entry.user === user && !entry.stuck)) {
    try {
      await send(entry, draw);
      say(words.sent);
      done(entry);
    } catch (error) {
      if (!("again" in error)) throw error;
      entry.why = error.message;
      if (error.again || error.message === "login") {
        await show(entry);
        return;
      }
      entry.stuck = true;
      await put(entry);
      await show();
    }
  }
}

function say(text) {
  document.getElementById("live").textContent = text;
}

const title = (entry) => (entry.fields.find(([name]) => name === "description")?.[1] ?? "").split("\n")[0].slice(0, 80);

function state(entry) {
  if (entry.stuck) return `${words.stuck} ${entry.why ?? ""}`;
  if (entry.why === "login") return words.login;
  const bytes = entry.files.reduce((sum, file) => sum + file.blob.size, 0);
  const done = entry.files.reduce((sum, file) => sum + (file.sent ? file.blob.size : (file.done ?? 0)), 0);
  if (entry.sent) return `${words.photos} ${bytes ? Math.floor((done * 100) / bytes) : 100} %`;
  return words.here;
}

function button(text, act, id, plain) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = plain;
  made.textContent = text;
  made.dataset.act = act;
  made.dataset.id = id;
  return made;
}

/** The entries as they are; `fresh` is one whose state is newer than what is kept. */
async function show(fresh) {
  const entries = await all();
  const own = entries.filter((entry) => entry.user === user);
  box.hidden = entries.length === 0;
  const list = box.querySelector("ul");
  list.replaceChildren();
  for (const kept of own) {
    const entry = fresh?.id === kept.id ? fresh : kept;
    const item = document.createElement("li");
    item.className = "row outbox-row";
    item.dataset.entry = entry.id;
    const text = document.createElement("span");
    text.className = "row-title";
    text.textContent = title(entry);
    const where = document.createElement("span");
    where.className = "where where-phone";
    where.textContent = state(entry);
    item.append(text, where);
    if (entry.files.length) {
      const pictures = document.createElement("span");
      pictures.className = "outbox-files";
      pictures.textContent = `${entry.files.length} × 📷`;
      pictures.setAttribute("aria-label", `${entry.files.length} ${words.files}`);
      item.append(pictures);
    }
    const acts = document.createElement("span");
    acts.className = "actions";
    if (entry.why === "login") {
      const link = document.createElement("a");
      link.href = "/login";
      link.className = "button";
      link.textContent = words.loginDo;
      acts.append(link);
    }
    if (!entry.sent) acts.append(button(words.edit, "edit", entry.id, ""), button(words.remove, "remove", entry.id, "plain danger"));
    else if (entry.stuck) acts.append(button(words.remove, "remove", entry.id, "plain danger"));
    item.append(acts);
    list.append(item);
  }
  box.querySelector("[data-others]").hidden = own.length === entries.length;
}

function draw(entry) {
  const where = box.querySelector(`[data-entry="${entry.id}"] .where`);
  if (where) where.textContent = state(entry);
}

function done(entry) {
  const item = box.querySelector(`[data-entry="${entry.id}"]`);
  if (!item) return;
  const where = item.querySelector(".where");
  where.className = "where where-pc";
  where.textContent = words.atPc;
  item.querySelector(".actions").replaceChildren();
  const link = document.createElement("a");
  link.href = `/incidents/${entry.id}`;
  link.className = "button";
  link.textContent = entry.sent?.reference ?? words.open;
  item.querySelector(".actions").append(link);
}

async function pressed(event) {
  const pressed = event.target.closest("button[data-act]");
  if (!pressed) return;
  // Not while it is being sent: what is under way cannot be taken back.
  const run = async () => {
    const entry = await get(pressed.dataset.id);
    if (!entry) return show();
    if (pressed.dataset.act === "remove") {
      if (confirm(words.sure)) await remove(entry.id);
    } else if (!entry.sent) {
      fill(entry);
      await remove(entry.id);
    }
    await show();
  };
  if (navigator.locks) await navigator.locks.request("outbox", run);
  else await run();
}

/** Puts an entry back into the form. Its photos come along. */
function fill(entry) {
  form.reset();
  for (const [name, value] of entry.fields) {
    for (const field of [...form.elements].filter((field) => field.name === name)) {
      if (field.type === "checkbox" || field.type === "radio") field.checked ||= field.value === value;
      else if (field.type !== "hidden" && field.type !== "submit") {
        field.value = value;
        if (value && field.closest("details")) field.closest("details").open = true;
      }
    }
  }
  form.elements.id.value = new_id();
  form.elements.draft.value = entry.fields.find(([name]) => name === "draft")?.[1] ?? "";
  form.dataset.at = entry.at;
  const gallery = form.querySelector("input[type=file][multiple]");
  const files = new DataTransfer();
  for (const file of entry.files) files.items.add(new File([file.blob], file.name, { type: file.type }));
  gallery.files = files.files;
  gallery.dispatchEvent(new Event("change", { bubbles: true }));
  form.elements.description.focus();
}
