"use strict";
// Sorts and filters the tables, and keeps the choice in the address, so that a link shows the same:
// #filter=east&sparsity=99.95+%25&sort=every.accuracy.descending&theme=dark

const form = document.getElementById("filters");
const fields = [...form.elements].filter((field) => field.name);
const tables = [...document.querySelectorAll("table")];
const order = new Map(tables.map((table) => [table, [...table.tBodies[0].rows]])); // as rendered
const sorted = new Map(); // table → [column, direction]
const theme = document.getElementById("theme");
const THEMES = ["auto", "light", "dark"];

// --- sorting ---------------------------------------------------------------------------------

function headOf(table, column) {
  return [...table.tHead.querySelectorAll("[data-sort]")].find((b) => b.dataset.sort === column);
}

function indexOf(table, head) { // of the column in the rows of the body; a matrix has two head rows
  if (!table.classList.contains("matrix")) return head.cellIndex;
  return head.parentElement.rowIndex ? head.cellIndex + 1 : 0;
}

function valueOf(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return cell.classList.contains("number") || cell.closest(".matrix")
    ? null : cell.textContent.trim().toLowerCase();
}

function compare(a, b, sign) { // missing values come last in both directions
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : `${a}`.localeCompare(b, "en"));
}

function sort(table, column, direction) {
  const button = headOf(table, column);
  if (!button || !["ascending", "descending"].includes(direction)) return;
  for (const head of table.tHead.querySelectorAll("[aria-sort]")) head.ariaSort = "none";
  button.closest("th").ariaSort = direction;
  const index = indexOf(table, button.closest("th"));
  const sign = direction === "ascending" ? 1 : -1;
  const keyed = order.get(table).map((row) => [valueOf(row.cells[index]), row]);
  keyed.sort(([a], [b]) => compare(a, b, sign)); // stable: ties stay as rendered
  table.tBodies[0].append(...keyed.map(([, row]) => row));
  sorted.set(table, [column, direction]);
}

function unsort(table) {
  for (const head of table.tHead.querySelectorAll("[aria-sort]")) head.ariaSort = "none";
  table.tBodies[0].append(...order.get(table));
  sorted.delete(table);
}

function press(table, button) { // numbers: highest first, then lowest, then as rendered
  const column = button.dataset.sort;
  const ways = button.closest("th").classList.contains("number")
    ? ["descending", "ascending"] : ["ascending", "descending"];
  const [now, direction] = sorted.get(table) ?? [];
  const next = now === column ? ways[ways.indexOf(direction) + 1] : ways[0];
  if (next) sort(table, column, next); else unsort(table);
}

// --- filtering -------------------------------------------------------------------------------

const allows = (choice, data) => ["method", "dataset", "model", "sparsity"].every(
  (key) => !choice[key] || data[key] === undefined || data[key] === choice[key]);

function filter() {
  const choice = Object.fromEntries(fields.map((field) => [field.name, field.value]));
  const words = choice.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (text, data) => allows(choice, data)
    && words.every((word) => text.toLowerCase().includes(word));
  for (const table of tables) {
    if (table.classList.contains("matrix")) filterMatrix(table, fits);
    else for (const row of order.get(table)) row.hidden = !fits(row.textContent, row.dataset);
    table.closest(".scroll").hidden = order.get(table).every((row) => row.hidden);
  }
  for (const group of document.querySelectorAll("details.setting")) {
    group.hidden = !allows({ ...choice, method: "", sparsity: "" }, group.dataset);
  }
  for (const section of document.querySelectorAll("main section")) {
    const parts = [...section.querySelectorAll(".scroll, details.setting")];
    section.hidden = parts.length > 0 && parts.every((part) => part.hidden);
  }
  const folded = document.getElementById("folded"); // tables without results
  if (folded) {
    folded.open ||= Object.values(choice).some(Boolean); // a match is not left inside
    folded.hidden = [...folded.querySelectorAll("section")].every((section) => section.hidden);
  }
  const every = order.get(document.getElementById("every"));
  const shown = every.filter((row) => !row.hidden).length;
  document.getElementById("count").textContent = `${shown} of ${every.length} cells`;
  const some = [...order.values()].some((rows) => rows.some((row) => !row.hidden));
  document.getElementById("nothing").hidden = some || every.length === 0;
}

function filterMatrix(table, fits) { // a row or column with one matching cell is shown
  const heads = [...table.tHead.rows[1].cells];
  const kept = new Set();
  for (const row of order.get(table)) {
    const cells = [...row.cells].slice(1);
    const fitting = heads.filter((head, i) => fits(
      `${table.caption.textContent} ${row.cells[0].textContent} ${head.dataset.about} `
        + `${head.dataset.sparsity} ${cells[i].textContent}`,
      { ...row.dataset, ...head.dataset },
    ));
    row.hidden = fitting.length === 0;
    for (const head of fitting) kept.add(head);
  }
  heads.forEach((head, i) => {
    head.hidden = !kept.has(head);
    for (const row of order.get(table)) row.cells[i + 1].hidden = head.hidden;
  });
  for (const group of table.tHead.rows[0].querySelectorAll(".setting")) {
    const shown = heads.splice(0, Number(group.dataset.columns)).filter((head) => !head.hidden);
    group.hidden = shown.length === 0;
    if (shown.length) group.colSpan = shown.length;
  }
}

// --- light and dark --------------------------------------------------------------------------

function paint(name) {
  const chosen = THEMES.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = chosen;
  theme.textContent = `Theme: ${chosen}`;
}

function remembered() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

function remember(name) {
  try { localStorage.setItem("theme", name); } catch { /* the address keeps it */ }
}

// --- the address -----------------------------------------------------------------------------

function write() {
  const parameters = new URLSearchParams(fields.filter((f) => f.value).map((f) => [f.name, f.value]));
  for (const [table, [column, direction]] of sorted) {
    parameters.append("sort", `${table.id}.${column}.${direction}`);
  }
  if (theme.dataset.chosen) parameters.set("theme", document.documentElement.dataset.theme);
  const address = `${parameters}` ? `#${parameters}` : location.pathname.split("/").pop() + location.search;
  history.replaceState(null, "", address);
}

function read() {
  const hash = location.hash.slice(1);
  if (hash && !hash.includes("=")) return reveal(hash);
  const parameters = new URLSearchParams(hash);
  for (const field of fields) {
    field.value = parameters.get(field.name) ?? "";
    if (field.selectedIndex === -1) field.value = ""; // an option that this page does not have
  }
  for (const table of [...sorted.keys()]) unsort(table);
  for (const one of parameters.getAll("sort")) {
    const [id, column, direction] = one.split(".");
    const table = tables.find((table) => table.id === id);
    if (table) sort(table, column, direction);
  }
  if (parameters.has("theme")) theme.dataset.chosen = "yes";
  paint(parameters.get("theme") ?? remembered());
  filter();
}

function reveal(id) { // a link to a cell clears a filter that hides it
  const target = document.getElementById(id);
  if (!target) return;
  if (target.closest("[hidden]")) {
    for (const field of fields) field.value = "";
    filter();
  }
  const records = target.matches("tr") ? target.querySelector("details") : null;
  if (records) records.open = true;
  target.scrollIntoView({ block: records ? "center" : "start" });
}

for (const table of tables) {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sort]");
    if (button) { press(table, button); write(); }
  });
}
form.addEventListener("input", () => { filter(); write(); });
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => { filter(); write(); }));
theme.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  theme.dataset.chosen = "yes";
  paint(next);
  remember(next);
  write();
});
addEventListener("hashchange", read);
form.hidden = theme.hidden = false;
paint(remembered());
filter();
read();
