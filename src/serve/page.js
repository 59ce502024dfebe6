// Shows the newest figures without a reload: the page is asked for again, and what it shows is put in place of what is there.
// Without this script the browser reloads the page.
"use strict";
const EVERY_MS = 10_000;
const PARTS = ["main", ".asof", "footer"];
let lastGood = Date.now();
let isAsking = false;

// Who reads, types or walks through the page by keyboard keeps what is there.
function isInUse() {
  const main = document.querySelector("main");
  const isChanged = (input) =>
    input.options ? [...input.options].some((o) => o.selected !== o.defaultSelected && o.value) : input.value !== input.defaultValue;
  return (
    main.contains(document.activeElement) ||
    document.querySelector("details[open]") !== null ||
    [...main.querySelectorAll("input, select")].some(isChanged)
  );
}

async function refresh() {
  if (isAsking || document.hidden || isInUse()) {
    return;
  }
  isAsking = true;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    // What has none of them is no page of the daemon: of a proxy, perhaps.
    if (answer.ok && !isInUse() && PARTS.every((part) => next.querySelector(part))) {
      PARTS.forEach((part) => document.querySelector(part).replaceWith(next.querySelector(part)));
      document.title = next.title;
      lastGood = Date.now();
    }
  } catch {
    // The daemon does not answer: the age says so.
  } finally {
    isAsking = false;
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
