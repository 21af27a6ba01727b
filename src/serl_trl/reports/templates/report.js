"use strict";
const table = document.getElementById("instruction-table");
if (table) {
  const body = table.tBodies[0], rows = Array.from(body.rows);
  const [search, iteration, fate] = ["search", "iteration", "fate"].map((id) => document.getElementById(id));
  const count = document.getElementById("row-count");
  const show = () => {
    const words = search.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !((!iteration.value || row.dataset.iteration === iteration.value) &&
        (!fate.value || row.dataset.fate === fate.value) && row.textContent.toLowerCase().includes(words));
      shown += !row.hidden;
    }
    count.textContent = shown + " of " + rows.length + " rows shown";
  };
  for (const field of [search, iteration, fate]) field.addEventListener("input", show);
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    rows.sort((a, b) => {
      const order = key(a).localeCompare(key(b), "en", { numeric: true });
      return isUp ? order : -order;
    });
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    body.append(...rows);
  }));
  document.getElementById("controls").hidden = false;
  show();
}
