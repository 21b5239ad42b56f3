"""What the page does: filter, sort, correct, save. It is alone with what the page holds: it asks no network."""

SCRIPT = r"""
"use strict";
const $ = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
const options = [...$("class").options].slice(1);
const flat = document.querySelector("#flat .grid");
const home = new Map(cards.map((card) => [card, card.parentElement]));
const corrections = new Map();  // card -> number of a class as text, or NONE
const NONE = "none";
const SORTS = { classes: "high", confident: "high", doubtful: "low", flipped: "high" };
const CONTROLS = ["text", "class", "kept", "right", "least", "most", "sort", "flipped", "labeled", "corrected"];
let view = "classes", saved = true;

// Filter and sort ---------------------------------------------------------------------------------------------------

const sure = (card) => Number(card.dataset.confidence);
const className = (card) => options[Number(card.dataset.class)].text;
const compare = new Intl.Collator(undefined, { numeric: true }).compare;
const ORDERS = {
  high: (a, b) => sure(b) - sure(a),
  low: (a, b) => sure(a) - sure(b),
  class: (a, b) => Number(a.dataset.class) - Number(b.dataset.class) || sure(b) - sure(a),
  name: (a, b) => compare(a.dataset.path, b.dataset.path),
};

function inView(card) {
  if (view === "classes") return true;
  if (view === "flipped") return card.dataset.flipped === "yes";
  return card.dataset.sections.split(" ").includes(view);
}

function wanted(card) {
  const said = card.dataset, is = (id) => !$(id) || !$(id).value || $(id).value === said[id];
  const text = $("text").value.trim().toLowerCase(), percent = 100 * sure(card);
  return inView(card) && is("class") && is("kept") && is("right")
    && percent >= Number($("least").value || 0) && percent <= Number($("most").value || 100)
    && (!$("flipped") || !$("flipped").checked || said.flipped === "yes")
    && (!$("labeled") || !$("labeled").checked || said.labeled === "yes")
    && (!$("corrected").checked || corrections.has(card))
    && (!text || (said.path + "\n" + className(card)).toLowerCase().includes(text));
}

function draw() {
  let shown = 0;
  for (const card of [...cards].sort(ORDERS[$("sort").value])) {
    card.hidden = !wanted(card);
    shown += !card.hidden;
    (view === "classes" ? home.get(card) : flat).append(card);
  }
  $("flat").hidden = view === "classes" || !shown;
  $("groups").hidden = view !== "classes";
  for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".card:not([hidden])");
  $("nothing").hidden = shown > 0;
  $("count").textContent = `${shown.toLocaleString()} of ${cards.length.toLocaleString()} shown`;
}

function show(name) {
  view = name;
  $("sort").value = SORTS[name];
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.view === name));
    if (tab.dataset.view === name) $("flat-title").textContent = tab.textContent;
  }
  draw();
}

function reset() {
  for (const id of CONTROLS) {
    const control = $(id);
    if (!control) continue;
    if (control.type === "checkbox") control.checked = false;
    else control.value = { least: "0", most: "100", sort: SORTS[view] }[id] || "";
  }
  draw();
}

// Correct -----------------------------------------------------------------------------------------------------------

function choice(text, value) {
  const option = document.createElement("option");
  option.textContent = text;
  option.value = value;
  return option;
}

function ask(card) {
  const old = card.querySelector("select");
  if (old) return old.focus();
  const select = document.createElement("select"), button = card.querySelector(".picture");
  select.setAttribute("aria-label", `What ${card.dataset.path} is`);
  select.append(choice("not corrected", ""));
  for (const one of options) select.append(choice(one.text + (one.value === card.dataset.class ? " (confirm)" : ""), one.value));
  select.append(choice("none of them", NONE));
  select.value = corrections.get(card) || "";
  select.addEventListener("change", () => correct(card, select.value));
  select.addEventListener("blur", () => select.remove());
  select.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || event.key === "Enter") { event.preventDefault(); button.focus(); }
  });
  button.after(select);
  select.focus();
}

function correct(card, value) {
  const mark = card.querySelector(".fix") || document.createElement("span");
  if (value) corrections.set(card, value); else corrections.delete(card);
  card.classList.toggle("fixed", Boolean(value));
  mark.className = "mark fix";
  mark.textContent = value === NONE ? "none of them" : value === card.dataset.class ? "confirmed" : value ? `\u2192 ${options[Number(value)].text}` : "";
  if (value) card.querySelector(".marks").prepend(mark); else mark.remove();
  saved = !corrections.size;
  tell();
}

function tell() {
  const count = corrections.size;
  $("corrections").hidden = !count;
  $("corrections-count").textContent = `${count.toLocaleString()} correction${count === 1 ? "" : "s"}`;
}

// Save --------------------------------------------------------------------------------------------------------------

const FORMULA = /^'*[=+\-@\t\r]/;

function cell(text) {
  const guarded = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

function bytes(text) {
  // A byte of a file's name that is no UTF-8 came as a lone surrogate, U+DC80 to U+DCFF, and goes as the byte it was.
  const encoder = new TextEncoder(), made = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) made.push(code - 0xdc00);
    else made.push(...encoder.encode(character));
  }
  return new Uint8Array(made);
}

function file() {
  const exact = (one) => JSON.parse(options[Number(one)].dataset.exact);
  const lines = [["id", "label", "was", "confidence", "generation"]];
  for (const card of cards) {
    if (!corrections.has(card)) continue;
    const value = corrections.get(card), said = card.dataset;
    lines.push([JSON.parse(said.id), value === NONE ? "" : exact(value), exact(said.class), said.confidence,
      document.body.dataset.generation]);
  }
  return bytes(lines.map((line) => line.map(cell).join(",") + "\r\n").join(""));
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([file()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  saved = true;
}

// Begin -------------------------------------------------------------------------------------------------------------

const MOVES = { ArrowRight: 1, ArrowLeft: -1 };

document.querySelector("main").addEventListener("click", (event) => {
  const button = event.target.closest(".picture");
  if (button) ask(button.closest(".card"));
});
document.querySelector("main").addEventListener("keydown", (event) => {
  const step = MOVES[event.key];
  if (!step || !event.target.matches(".picture")) return;
  const there = [...document.querySelectorAll(".card:not([hidden]) .picture")];
  const next = there[there.indexOf(event.target) + step];
  if (next) { event.preventDefault(); next.focus(); }
});
for (const id of CONTROLS) if ($(id)) $(id).addEventListener("input", draw);
for (const tab of document.querySelectorAll(".tabs button")) tab.addEventListener("click", () => show(tab.dataset.view));
$("reset").addEventListener("click", reset);
$("undo").addEventListener("click", () => { for (const card of [...corrections.keys()]) correct(card, ""); draw(); });
$("download").addEventListener("click", save);
window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
if (matchMedia("(max-width: 40rem)").matches) document.querySelector(".more").open = false;
reset();
"""
