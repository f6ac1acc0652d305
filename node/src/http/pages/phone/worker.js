// Keeps the app's own files and one page, which stands in when the store's PC cannot be reached. Nothing about anybody is kept.

const SHELL = "/offline";
const PATIENCE_MS = 5000;

self.addEventListener("install", (event) => {
  const fill = async () => {
    const cache = await caches.open(BASE);
    await cache.addAll([SHELL, ...ASSETS]);
    await self.skipWaiting();
  };
  event.waitUntil(fill());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) if (name !== BASE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/static/")) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  } else if (request.mode === "navigate" && !url.pathname.startsWith("/api/")) {
    event.respondWith(navigate(event, url));
  }
});

async function navigate(event, url) {
  try {
    const answer = await fetch(event.request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    // In the language that was chosen meanwhile.
    if (url.pathname === "/" && answer.ok) event.waitUntil(caches.open(BASE).then((cache) => cache.add(SHELL)).catch(() => {}));
    return answer;
  } catch {
    return (await caches.match(SHELL)) ?? Response.error();
  }
}
