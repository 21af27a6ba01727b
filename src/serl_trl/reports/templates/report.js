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
  search.addEventListener("input", show);
  for (const choice of [iteration, fate]) choice.addEventListener("change", show);
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const order = (a, b) => {
      // localeCompare reads digits behind a point as a whole number: 0.25 would come behind 0.5
      const areNumbers = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
      return areNumbers ? a - b : a.localeCompare(b, "en", { numeric: true });
    };
    rows.sort((a, b) => (isUp ? order(key(a), key(b)) : order(key(b), key(a))));
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    body.append(...rows);
  }));
  document.getElementById("controls").hidden = false;
  show();
}
