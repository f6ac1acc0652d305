// What every page loads. Everything works without it; this makes it nicer.
import "./who.js";
import { pieces } from "./pieces.js";
import { follow } from "./live.js";
import { searches } from "./search.js";
import { drafts } from "./drafts.js";
import { viewers } from "./viewer.js";
import { chosen, entries, reasons } from "./forms.js";
import { pictures } from "./pictures.js";
import { pads } from "./pad.js";
import { bulk } from "./bulk.js";

document.documentElement.classList.add("js");

// The place in the menu is in sight on a small screen, too.
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// On a small screen what was found comes first, and the filters that found it are one touch away.
if (matchMedia("(max-width: 47.99rem)").matches) document.querySelector(".filters .more-filters[open]")?.removeAttribute("open");

// A menu closes when one looks elsewhere.
addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.drop[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.drop[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

pictures();
drafts();
entries();
chosen();
reasons();
viewers();
pads();
bulk();
searches(pieces);
follow(pieces);
