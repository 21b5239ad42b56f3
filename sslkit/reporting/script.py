"""What the page does: draw figures when they come near, colour them as the page is, filter. It asks no network."""

SCRIPT = r"""
"use strict";
const $ = (id) => document.getElementById(id);
const all = (query, inside = document) => [...inside.querySelectorAll(query)];
const PAPER = 680;  // pixels of a figure's width on paper
const AROUND = 700;  // pixels above and below the window in which figures are drawn
const darkWanted = matchMedia("(prefers-color-scheme: dark)");
let theme = "", printing = false;

// Colours: Okabe and Ito's, which colour-blind readers can tell apart, a little lighter in the dark ------------------

const ROWS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#b5629b", "#b98300", "#6f4bc0", "#8a5a2b", "#4d4d4d"],
  dark: ["#56b4e9", "#f0803c", "#2fc79a", "#e29bc6", "#e6b23c", "#b09cff", "#c99a6b", "#c9c9c9"],
};
const SCHEMES = {
  light: { ink: "#1b1f24", faint: "#5d6672", line: "#e3e6ea", axis: "#aeb5be", card: "#ffffff", low: "#f4f6f8",
    high: "#0072b2", named: { baseline: "#767c84", right: "#009e73", wrong: "#d55e00", dropped: "#b9bfc7", plain: "#4a6fa5" } },
  dark: { ink: "#e8eaed", faint: "#a0a8b3", line: "#30363e", axis: "#58616c", card: "#1e2328", low: "#242a30",
    high: "#56b4e9", named: { baseline: "#a3abb5", right: "#2fc79a", wrong: "#f0803c", dropped: "#59616b", plain: "#8fb2e3" } },
};

const dark = () => !printing && (theme ? theme === "dark" : darkWanted.matches);
const scheme = () => SCHEMES[dark() ? "dark" : "light"];

function colorOf(name) {
  const row = ROWS[dark() ? "dark" : "light"];
  const number = /^(?:generation-)?(\d+)$/.exec(String(name));
  return number ? row[Number(number[1]) % row.length] : scheme().named[name];
}

// Filters -----------------------------------------------------------------------------------------------------------

const chosen = {};  // key -> a Set of values, or one value ("" for all)

function readFilters() {
  for (const set of all("fieldset[data-key]", $("filters"))) {
    chosen[set.dataset.key] = new Set(all("input:checked", set).map((box) => box.value));
  }
  for (const select of all("select[data-key]", $("filters"))) chosen[select.dataset.key] = select.value;
}

function wanted(keys) {
  return Object.entries(chosen).every(([key, value]) => {
    if (keys === undefined || keys[key] === undefined || keys[key] === null) return true;
    return value instanceof Set ? value.has(String(keys[key])) : !value || value === String(keys[key]);
  });
}

function filterRows() {
  let hidden = 0;
  for (const row of all(":is(tr, li):is([data-generation], [data-class], [data-run])")) {
    row.hidden = !wanted(row.dataset);
    hidden += row.hidden;
  }
  const off = all("#filters input:not(:checked)").length + all("#filters select").filter((one) => one.value).length;
  $("told").textContent = off ? `Filtered; ${hidden} rows are hidden.` : "Everything is shown.";
}

// Figures -----------------------------------------------------------------------------------------------------------

function axis(own) {
  const now = scheme();
  return { gridcolor: now.line, zerolinecolor: now.line, linecolor: now.axis, tickcolor: now.axis, automargin: true,
    ticks: "outside", ticklen: 4, ...own, title: { standoff: 8, ...(typeof own?.title === "string" ? { text: own.title } : own?.title) } };
}

function layoutOf(spec, figure) {
  const now = scheme(), own = spec.layout, made = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 340, hovermode: "closest",
    margin: { l: 56, r: 18, t: 14, b: 48 }, colorway: ROWS[dark() ? "dark" : "light"], bargap: 0.22,
    ...own,
    font: { family: "system-ui, sans-serif", size: 13, color: now.ink, ...own.font },
    legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", ...own.legend },
    hoverlabel: { bgcolor: now.card, bordercolor: now.axis, font: { color: now.ink }, ...own.hoverlabel },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: now.faint, activecolor: now.ink },
  };
  for (const key of ["xaxis", "yaxis", ...Object.keys(own).filter((key) => /^[xy]axis\d+$/.test(key))]) made[key] = axis(own[key]);
  made.shapes = [...(own.shapes || []).map((shape) => ({ ...shape, line: { color: now.faint, width: 1, ...shape.line } })), ...marks(spec)];
  made.annotations = (own.annotations || []).map((note) => ({ ...note, font: { color: now.faint, ...note.font } }));
  if (printing) made.width = Math.min(PAPER, own.width || PAPER);
  else if (own.width && own.width > figure.clientWidth) delete made.width;
  return made;
}

function marks(spec) {  // a frame around the chosen class's row of a matrix
  const which = chosen.class, matrix = spec.data.find((trace) => trace.type === "heatmap" && trace.meta?.classes);
  const at = matrix && which ? matrix.meta.classes.map(String).indexOf(which) : -1;
  if (at < 0) return [];
  const line = { color: colorOf("wrong"), width: 2 }, end = matrix.meta.classes.length - 0.5;
  return [{ type: "rect", xref: "x", yref: "y", x0: -0.5, x1: end, y0: at - 0.5, y1: at + 0.5, line },
    { type: "rect", xref: "x", yref: "y", x0: at - 0.5, x1: at + 0.5, y0: -0.5, y1: end, line }];
}

function painted(trace) {
  const meta = trace.meta || {}, now = scheme(), made = { ...trace };
  if (trace.type === "heatmap" || meta.ramp) {
    made.colorscale = [[0, now.low], [1, now.high]];
    if (meta.names) made.customdata = meta.counts.map((row, i) => row.map((count, j) => [count, meta.names[i], meta.names[j]]));
    made.colorbar = { thickness: 12, outlinewidth: 0, ...trace.colorbar };
    return made;
  }
  const color = meta.color === undefined ? undefined : meta.color === null ? now.faint : colorOf(meta.color);
  if (color && meta.band) made.fillcolor = color + "2b";
  if (color && trace.type !== "bar") made.line = { color, ...trace.line };
  if (color) made.marker = { color, ...trace.marker };
  if (meta.classes && chosen.class) {
    made.marker = { ...made.marker, opacity: meta.classes.map((one) => String(one) === chosen.class ? 1 : 0.18) };
  }
  if (trace.error_y) made.error_y = { color, thickness: 1.5, ...trace.error_y };
  return made;
}

const specs = new Map();

function specOf(figure) {
  if (!specs.has(figure)) specs.set(figure, JSON.parse(figure.querySelector("script").textContent));
  return specs.get(figure);
}

function draw(figure) {
  const spec = specOf(figure), canvas = figure.querySelector(".canvas");
  const data = spec.data.filter((trace) => wanted(trace.meta)).map(painted), layout = layoutOf(spec, figure);
  if (!data.length) layout.annotations = [{ text: "nothing of this is chosen", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
  figure.dataset.drawn = "yes";
  return Plotly.react(canvas, data, layout, { responsive: true, displaylogo: false, displayModeBar: "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] });
}

const plots = all("figure.plot");
const drawn = () => plots.filter((figure) => figure.dataset.drawn);
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting || entry.target.dataset.drawn) continue;
    near.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: `${AROUND}px 0px` });

function swatches() {
  for (const one of all("[data-color]")) one.style.setProperty("--own", colorOf(one.dataset.color) || "transparent");
}

function redraw() {  // what is far away waits until it is near again
  swatches();
  for (const figure of drawn()) {
    const box = figure.getBoundingClientRect();
    if (box.height && box.bottom > -AROUND && box.top < innerHeight + AROUND) { draw(figure); continue; }
    delete figure.dataset.drawn;
    near.unobserve(figure);
    near.observe(figure);
  }
}

// Light and dark, paper ---------------------------------------------------------------------------------------------

function showTheme() {
  document.documentElement.style.colorScheme = theme || "light dark";
  $("theme").textContent = dark() ? "Light" : "Dark";
  redraw();
}

const folded = new Set();

function toPaper() {
  if (printing) return;
  printing = true;
  for (const one of all("details:not([open])")) { folded.add(one); one.open = true; }
  swatches();
  for (const figure of plots) if (!figure.closest("[hidden]")) draw(figure);
}

function fromPaper() {
  if (!printing) return;
  printing = false;
  for (const one of folded) one.open = false;
  folded.clear();
  redraw();
}

// Begin -------------------------------------------------------------------------------------------------------------

$("theme").addEventListener("click", () => { theme = dark() ? "light" : "dark"; showTheme(); });
darkWanted.addEventListener("change", () => { if (!theme) showTheme(); });
$("filters").addEventListener("input", () => { readFilters(); filterRows(); redraw(); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(() => { readFilters(); filterRows(); redraw(); }));
for (const one of all(".choice")) {
  const select = one.querySelector("select"), options = all(":scope > .option", one);
  select.addEventListener("input", () => options.forEach((option, i) => { option.hidden = String(i) !== select.value; }));
}
window.addEventListener("beforeprint", toPaper);
window.addEventListener("afterprint", fromPaper);
matchMedia("print").addEventListener("change", (event) => event.matches ? toPaper() : fromPaper());
const links = new Map(all("nav a").map((link) => [link.getAttribute("href").slice(1), link]));
const here = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const link = links.get(entry.target.id);
    if (entry.isIntersecting) { for (const other of links.values()) other.removeAttribute("aria-current"); link?.setAttribute("aria-current", "true"); }
  }
}, { rootMargin: "-25% 0px -65% 0px" });
for (const section of all("main > section")) here.observe(section);
readFilters();
showTheme();
for (const figure of plots) near.observe(figure);
"""
