// Shows the newest figures without a reload: the page is asked for again, and what it shows is put in place of what is there.
// Without this script the browser reloads the page.
"use strict";
const EVERY_MS = 10_000;
let lastGood = Date.now();

async function refresh() {
  const active = document.activeElement;
  const isTyping = active && active.closest("form");
  if (document.hidden || isTyping || document.querySelector("details[open]")) {
    return;
  }
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) {
      return;
    }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["main", ".asof", "footer"]) {
      const [old, fresh] = [document.querySelector(part), next.querySelector(part)];
      if (old && fresh) {
        old.replaceWith(fresh);
      }
    }
    document.title = next.title;
    lastGood = Date.now();
  } catch {
    // The daemon does not answer: the age says so.
  }
}

function age() {
  const seconds = Math.round((Date.now() - lastGood) / 1000);
  const shown = document.querySelector(".asof");
  if (shown && seconds > 3 * (EVERY_MS / 1000)) {
    shown.classList.add("stale");
    shown.dataset.age = `${seconds} s old`;
  }
}

setInterval(refresh, EVERY_MS);
setInterval(age, 1_000);
document.addEventListener("visibilitychange", refresh);
