// Says when the desk does not answer, and lets the keyboard reach the pages: g then a letter, / for the filter.
(() => {
  const lost = (is) => { const bar = document.getElementById("lost"); if (bar) bar.hidden = !is; };
  for (const name of ["htmx:sseError", "htmx:sendError"]) document.addEventListener(name, () => lost(true));
  for (const name of ["htmx:sseOpen", "htmx:afterOnLoad"]) document.addEventListener(name, () => lost(false));
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
  const pages = { b: "/", p: "/positions", r: "/risk", e: "/events", d: "/doctor", c: "/calendar" };
  let gone = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "g") { gone = event.timeStamp; return; }
    if (event.key === "/") { const first = document.querySelector(".filter input"); if (first) { first.focus(); event.preventDefault(); } }
    if (event.timeStamp - gone < 1500 && pages[event.key]) location.href = pages[event.key];
  });
})();
