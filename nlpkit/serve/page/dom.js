// Elements built by DOM calls. Text is always set as text, never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return an HTML element. A function as the value of an attribute is a listener of that event. */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** Return an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** Return a promise that is resolved after the browser has handled input and painted. */
export function pause() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Return a score with three decimals, or a dash if there is none. */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value.toFixed(3) : "–";
}

/** Return a horizontal bar for a score from 0 to 1. It is hidden from screen readers: write the number beside it. */
export function bar(score) {
  const fill = el("span", { class: "bar-fill" });
  const percent = typeof score === "number" ? 100 * Math.min(1, Math.max(0, score)) : 0;
  fill.style.width = `${percent.toFixed(1)}%`;
  return el("span", { class: "bar", "aria-hidden": "true" }, fill);
}
