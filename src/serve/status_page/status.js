// Says how old the page is, where it is older than it should be: a proxy may have kept it.
"use strict";
const time = document.querySelector(".asof time");
function look() {
  const age = Math.round((Date.now() - Date.parse(time.dateTime)) / 1000);
  const isOld = age > 150;
  time.parentElement.classList.toggle("stale", isOld);
  time.parentElement.dataset.age = isOld ? `${Math.floor(age / 60)} min ago` : "";
}
look();
setInterval(look, 10000);
