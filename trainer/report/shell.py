"""Shell of a page: its style and script, as text that goes into it."""

STYLE = """
:root { color: #1f2933; background: #f3f4f6; font: 16px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 20px 16px 48px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: 1.02rem; margin: 0 0 .25rem; }
header p { margin: .1rem 0; color: #4b5563; overflow-wrap: anywhere; }
header .worth { margin: .5rem 0 .7rem; padding: 12px 16px; font-size: 1.15rem; line-height: 1.4; color: #111827;
  background: #fff; border: 1px solid #d8dce2; border-left: 5px solid #0072B2; border-radius: 8px; }
.account { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin: 0 0 .9rem; }
.account div { padding: 10px 16px; background: #fff; border: 1px solid #d8dce2; border-radius: 8px; }
.account dt { color: #4b5563; font-size: .9rem; }
.account dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.account small { display: block; font-size: .9rem; font-weight: 400; color: #4b5563; }
summary { cursor: pointer; padding: 8px 0; font-weight: 600; }
.note { margin: 0 0 .7rem; color: #4b5563; max-width: 80ch; overflow-wrap: anywhere; }
.parts { display: flex; flex-wrap: wrap; gap: 14px; }
.card { flex: 1 1 calc(50% - 7px); margin: 0; padding: 14px 16px; min-width: 0;
  background: #fff; border: 1px solid #d8dce2; border-radius: 8px; }
.card > p, figcaption { margin: 0 0 .5rem; color: #4b5563; font-size: .9rem; max-width: 95ch; }
.wide { flex-basis: 100%; }
.plot { width: 100%; height: var(--tall); overflow: hidden; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: 6px 10px; text-align: left; vertical-align: top; border-top: 1px solid #e5e7eb; }
thead th { border-top: 0; color: #4b5563; font-weight: 600; }
tbody th { font-weight: 400; min-width: 9rem; overflow-wrap: anywhere; }
td { font-weight: 600; }
td small { display: block; font-weight: 400; color: #4b5563; }
.choose { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; font-size: .9rem; margin-bottom: .3rem; }
.choose select, .choose button { font: inherit; padding: 5px 9px; border: 1px solid #9ca3af; border-radius: 6px;
  background: #fff; color: inherit; }
.choose select { max-width: 100%; min-width: 0; flex: 0 1 auto; }
.choose button { min-width: 40px; }
@media (max-width: 760px) {
  .account { grid-template-columns: repeat(2, 1fr); gap: 8px; }
  .account div { padding: 8px 10px; }
  .card { flex-basis: 100%; padding: 12px 10px; }
  body { padding: 14px 8px 32px; }
  thead { display: none; }
  tbody tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); border-top: 1px solid #e5e7eb; }
  tbody th { grid-column: 1 / -1; }
  th, td { padding: 5px 6px; border: 0; }
  .plot { height: calc(var(--tall) + 20px * var(--names)); }
  td::before { content: attr(data-head); display: block; font-weight: 400; font-size: .8rem; color: #4b5563; }
}
@media print { .card { break-inside: avoid; } body { max-width: none; } }
"""

SCRIPT = """
"use strict";
(() => {
  const plots = new Map(JSON.parse(document.getElementById("plots").textContent).map((plot) => [plot.id, plot]));
  const touch = matchMedia("(pointer: coarse)").matches;
  const axis = { automargin: true, gridcolor: "#e5e7eb", linecolor: "#9ca3af", zerolinecolor: "#9ca3af",
    title: { standoff: 8 }, fixedrange: touch };
  const template = { layout: {
    font: { family: "system-ui, -apple-system, Segoe UI, sans-serif", size: 12, color: "#1f2933" },
    margin: { l: 48, r: 12, t: 8, b: 40 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
    hoverlabel: { align: "left" }, hovermode: "closest", dragmode: touch ? false : "zoom",
    xaxis: axis, yaxis: axis, bargap: 0.25 } };
  const config = { responsive: true, displayModeBar: false, displaylogo: false };

  function draw(plot, number) {
    const choice = plot.choices[number] || { traces: [], layout: {} };
    const traces = plot.traces.map((trace, i) => ({ ...trace, ...choice.traces[i] }));
    return Plotly.react(plot.id, traces, { ...plot.layout, ...choice.layout, template, autosize: true }, config);
  }

  for (const select of document.querySelectorAll("select[data-plot]")) {
    select.addEventListener("change", () => draw(plots.get(select.dataset.plot), select.selectedIndex));
  }
  for (const button of document.querySelectorAll("button[data-plot]")) {
    button.addEventListener("click", () => {
      const select = document.getElementById(button.dataset.plot + "-choice");
      const count = select.options.length;
      select.selectedIndex = (select.selectedIndex + Number(button.dataset.step) + count) % count;
      draw(plots.get(button.dataset.plot), select.selectedIndex);
    });
  }

  // One plot a turn, so that the page can be scrolled while the last ones are still to come.
  const queue = [...plots.values()];
  async function next() {
    const plot = queue.shift();
    if (plot) {
      await draw(plot, 0);
      setTimeout(next, 0);
    } else {
      document.documentElement.dataset.drawnAfterMs = String(Math.round(performance.now()));
    }
  }
  next();
})();
"""
