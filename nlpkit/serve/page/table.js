// Tables of results.

import { bar, el, number } from "./dom.js";
import { count, t } from "./strings.js";

const MAX_ROWS = 200;

/** Return the cell of a score: a number and a bar. */
export function scoreCell(score) {
  return el("span", { class: "score" }, bar(score), el("span", {}, number(score)));
}

/**
 * Return a table. Only its first rows are shown if there are many; a button shows the others.
 *
 * A row is a list of texts and nodes; `numeric` has the columns with numbers.
 */
export function dataTable(caption, headers, rows, numeric = []) {
  const attributes = (column) => (numeric.includes(column) ? { class: "numeric" } : {});
  const line = (row) => el("tr", {}, ...row.map((cell, column) => el("td", attributes(column), cell)));
  const body = el("tbody", {}, ...rows.slice(0, MAX_ROWS).map(line));
  const head = headers.map((header, column) => el("th", { scope: "col", ...attributes(column) }, header));
  const table = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...head)), body);
  const frame = el("div", { class: "table", tabindex: "0", role: "region", "aria-label": caption }, table);
  if (rows.length > MAX_ROWS) {
    const more = el("button", { type: "button", class: "small" }, count("table.all", rows.length));
    more.addEventListener("click", () => {
      body.append(...rows.slice(MAX_ROWS).map(line));
      more.remove();
      frame.focus();
    });
    frame.append(more);
  }
  return frame;
}

/** Return a span's offsets as in Python: [start, end). */
export function offsets(span) {
  return Number.isInteger(span?.start) ? `[${span.start}, ${span.end})` : t("none");
}
