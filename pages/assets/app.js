// What every page loads. Everything works without it.
document.documentElement.classList.add("js");
