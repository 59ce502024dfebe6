// Asks for the page again each minute, and says how old it is where it is older than it should be:
// a proxy may have kept it, or nobody answers.
"use strict";
const parts = ["main", ".asof"];
async function renew() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!parts.every((part) => page.querySelector(part))) return;
    document.title = page.title;
    for (const part of parts) document.querySelector(part).replaceWith(page.querySelector(part));
  } catch {
    // The age tells.
  } finally {
    look();
  }
}
function look() {
  const time = document.querySelector(".asof time");
  const age = Math.round((Date.now() - Date.parse(time.dateTime)) / 1000);
  const isOld = age > 150;
  time.parentElement.classList.toggle("stale", isOld);
  time.parentElement.dataset.age = isOld ? `${Math.floor(age / 60)} min ago` : "";
}
look();
setInterval(look, 10000);
setInterval(renew, 60000);
