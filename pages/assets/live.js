// Follows what changes at the site and brings the page up to date. Only while somebody looks: streams are few.

const REST_MS = 400;
const AGAIN_MS = 5000;

export function follow(pieces) {
  poll(pieces);
  const watching = document.querySelector("[data-live]");
  if (!watching || !("EventSource" in window)) return;
  const kinds = watching.dataset.live.split(" ");
  const only = watching.dataset.liveId;
  let source = null;
  let soon = 0;
  let missed = false;
  // What changed after the page was made and before its stream was open is told, too.
  let last = document.body.dataset.heard;

  const refresh = () => {
    // Where much happens, a timer that begins anew each time would never end.
    soon ||= setTimeout(() => {
      soon = 0;
      pieces(location.href);
    }, REST_MS);
  };
  const heard = (event) => {
    last = event.lastEventId || last;
    if (only) {
      const said = JSON.parse(event.data);
      if (said.id !== only && said.incident_id !== only) return;
    }
    refresh();
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(`/api/v1/events?after=${last}`);
    for (const kind of kinds) source.addEventListener(kind, heard);
    source.onopen = () => {
      // What happened while nobody listened is in the page itself.
      if (missed) refresh();
      missed = false;
    };
    source.onerror = () => {
      missed = true;
      if (source.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(open, AGAIN_MS);
    };
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    source?.close();
    source = null;
    missed = true;
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    source = null;
    missed = true;
    open();
  });
  open();
}

/** What no event tells of is read again every few seconds, while somebody looks. */
function poll(pieces) {
  const polled = document.querySelector("[data-poll]");
  if (polled) setInterval(() => document.hidden || pieces(location.href), Number(polled.dataset.poll) * 1000);
}
