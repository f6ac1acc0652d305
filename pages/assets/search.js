// Searches while one types. The address follows, so that going back and sharing work.

const REST_MS = 180;

export function searches(pieces) {
  for (const form of document.querySelectorAll("form[data-live-search]")) {
    const result = form.dataset.liveSearch;
    let soon = 0;
    const run = async () => {
      const url = new URL(form.action);
      for (const [name, value] of new FormData(form)) {
        if (String(value).trim()) url.searchParams.append(name, value);
      }
      document.querySelector(result)?.classList.add("is-loading");
      const done = await pieces(url.href);
      document.querySelector(result)?.classList.remove("is-loading");
      if (!done) return;
      history.replaceState(null, "", url);
      // What is kept as a view is what is shown.
      for (const field of document.querySelectorAll("[data-filters]")) field.value = url.search.slice(1);
      const count = document.querySelector(`${result} [data-count]`);
      if (count) document.getElementById("live").textContent = count.textContent;
    };
    form.addEventListener("input", (event) => {
      // A day is typed digit by digit, and is none in between.
      clearTimeout(soon);
      soon = setTimeout(run, event.target.type === "date" ? 600 : REST_MS);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(soon);
      run();
    });
  }
}
