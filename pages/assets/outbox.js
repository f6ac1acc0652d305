// What was written on this device and is not at the store's PC yet. It is kept in the browser's own database, survives a killed
// page and a restart, and is sent exactly once: the report goes by an id that was made here, each photo by its content.

const DB = "aincident";
const STORE = "outbox";
const CHUNK = 1 << 20;
const PATIENCE_MS = 60000;
const OLD_MS = 60000;

/** A UUIDv7: in the order of time, and nobody else's. */
export function new_id() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let ms = Date.now();
  for (let at = 5; at >= 0; at--) {
    bytes[at] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function open() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open(DB, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" });
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

async function act(mode, run) {
  const db = await open();
  try {
    return await new Promise((done, failed) => {
      // Strict: it is on the disk before anybody is told that it is safe.
      const transaction = db.transaction(STORE, mode, { durability: "strict" });
      const asked = run(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(asked.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  } finally {
    db.close();
  }
}

export const all = () => act("readonly", (store) => store.getAll());
export const get = (id) => act("readonly", (store) => store.get(id));
export const put = (entry) => act("readwrite", (store) => store.put(entry));
export const remove = (id) => act("readwrite", (store) => store.delete(id));

/** Why something was not sent. `again`: it may go by itself later. */
class NotSent extends Error {
  constructor(why, again) {
    super(why);
    this.again = again;
  }
}

async function ask(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", cache: "no-store", redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  } catch {
    throw new NotSent("offline", true);
  }
  if (answer.status === 401) throw new NotSent("login", false);
  if (answer.status === 423 || answer.status === 429 || answer.status >= 500) throw new NotSent("busy", true);
  return answer;
}

async function refusal(answer) {
  try {
    const problem = await answer.json();
    // Another person is logged in by now: it waits for whoever wrote it.
    if (problem.type?.endsWith("other-user")) return new NotSent("login", false);
    return new NotSent(problem.errors?.map((error) => error.message).join("; ") || problem.detail || String(answer.status), false);
  } catch {
    return new NotSent(String(answer.status), false);
  }
}

/**
 * Sends one entry as far as it goes; `told` hears of each step. What is done is noted at once, so that nothing is done twice. A
 * file that is refused holds up no other one, and is complained about at the end.
 */
export async function send(entry, told) {
  if (!entry.sent) {
    const body = new URLSearchParams([["id", entry.id], ["username", entry.user], ...entry.fields]);
    // What is sent later did not happen later. By its age, whatever this device's clock and time zone are.
    const age = Date.now() - entry.at;
    if (age > OLD_MS) body.append("age_s", Math.round(age / 1000));
    const answer = await ask("/incidents/new", { method: "POST", body, headers: { accept: "application/json" } });
    if (!answer.ok) throw await refusal(answer);
    entry.sent = await answer.json();
    await put(entry);
    told(entry);
  }
  for (const file of entry.files) {
    if (file.sent || file.refused) continue;
    try {
      await upload(entry, file, told);
    } catch (error) {
      if (!(error instanceof NotSent) || error.again || error.message === "login") throw error;
      file.refused = error.message;
      await put(entry);
    }
  }
  const refused = entry.files.filter((file) => file.refused);
  if (refused.length) throw new NotSent(refused.map((file) => `${file.name}: ${file.refused}`).join("; "), false);
  await remove(entry.id);
}

/** Uploads a file from the byte that is durable there (tus 1.0). */
async function upload(entry, file, told) {
  const tus = { "tus-resumable": "1.0.0" };
  let at = null;
  if (file.upload) {
    const found = await ask(file.upload, { method: "HEAD", headers: tus });
    if (found.ok) at = Number(found.headers.get("upload-offset"));
  }
  if (at === null) {
    const coded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    const metadata = { incident_id: entry.id, filename: file.name, filetype: file.type || "application/octet-stream", username: entry.user };
    const made = await ask("/api/v1/uploads", {
      method: "POST",
      headers: {
        ...tus,
        "upload-length": file.blob.size,
        "upload-metadata": Object.entries(metadata).map(([name, text]) => `${name} ${coded(text)}`).join(","),
      },
    });
    if (!made.ok) throw await refusal(made);
    file.upload = new URL(made.headers.get("location"), location.href).pathname;
    at = 0;
    await put(entry);
  }
  while (at < file.blob.size) {
    file.done = at;
    told(entry);
    const answer = await ask(file.upload, {
      method: "PATCH",
      headers: { ...tus, "upload-offset": at, "content-type": "application/offset+octet-stream" },
      body: file.blob.slice(at, at + CHUNK),
    });
    if (answer.status === 409) {
      const found = await ask(file.upload, { method: "HEAD", headers: tus });
      if (!found.ok) throw new NotSent("busy", true);
      at = Number(found.headers.get("upload-offset"));
      continue;
    }
    if (answer.status === 404 || answer.status === 410) {
      // It was forgotten there: from the beginning.
      file.upload = null;
      await put(entry);
      throw new NotSent("busy", true);
    }
    if (!answer.ok) throw await refusal(answer);
    at = Number(answer.headers.get("upload-offset"));
  }
  file.sent = true;
  file.done = file.blob.size;
  await put(entry);
  told(entry);
}
