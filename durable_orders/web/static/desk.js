// Says when the desk does not answer or takes its time, and lets the keyboard reach the pages: g then a letter, / for the filter.
(() => {
  const lost = (is) => { const bar = document.getElementById("lost"); if (bar) bar.hidden = !is; };
  for (const name of ["htmx:sseError", "htmx:sendError"]) document.addEventListener(name, () => lost(true));
  document.addEventListener("htmx:sseOpen", () => lost(false));
  document.addEventListener("htmx:afterOnLoad", (event) => lost(event.detail.xhr.status >= 500));
  let slow;
  const loading = (is) => {
    clearTimeout(slow);
    const bar = document.getElementById("loading");
    if (!bar) return;
    if (is) slow = setTimeout(() => { bar.hidden = false; }, 500); else bar.hidden = true;
  };
  const waits = (place, is) => {
    if (is) place.setAttribute("aria-busy", "true"); else place.removeAttribute("aria-busy");
    loading(document.querySelector("[aria-busy]") !== null);
  };
  document.addEventListener("htmx:beforeRequest", (event) => waits(event.detail.target, true));
  document.addEventListener("htmx:afterRequest", (event) => waits(event.detail.target, false));
  document.addEventListener("submit", (event) => { if (!event.defaultPrevented) waits(document.getElementById("main"), true); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]"), plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
    const goes = link && plain && link.origin === location.origin && !link.getAttribute("href").startsWith("#") && !link.target && !link.hasAttribute("download");
    if (goes && !event.defaultPrevented) waits(document.getElementById("main"), true);
  });
  window.addEventListener("pageshow", () => { for (const place of document.querySelectorAll("[aria-busy]")) waits(place, false); });
  const draw = () => {
    for (const place of document.querySelectorAll(".curve:empty")) {
      const ink = getComputedStyle(place).color, axis = { stroke: ink, grid: { stroke: "#8884" } };
      new uPlot({ width: place.clientWidth, height: 220, legend: { show: false }, axes: [axis, { ...axis, size: 80 }],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Asia/Kolkata"),
        series: [{}, { stroke: ink, width: 2 }] }, [JSON.parse(place.dataset.times), JSON.parse(place.dataset.values)], place);
    }
  };
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("htmx:afterSettle", draw);
  const pages = { b: "/", p: "/positions", l: "/plans", w: "/gtts", r: "/risk", e: "/events", s: "/strategies", t: "/backtests", d: "/doctor", c: "/calendar" };
  let gone = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "g") { gone = event.timeStamp; return; }
    if (event.key === "/") { const first = document.querySelector(".filter input"); if (first) { first.focus(); event.preventDefault(); } }
    if (event.timeStamp - gone < 1500 && pages[event.key]) location.href = pages[event.key];
  });
})();
