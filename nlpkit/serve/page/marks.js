// A text with marked spans. Offsets count code points, as in Python; JavaScript counts UTF-16 code units.

import { el, number, pause } from "./dom.js";

const COLORS = 8;
const NODES_PER_PAUSE = 400;
const colorOfLabel = new Map();

/** Return the CSS class of a label's color; a label keeps its color while the page is open. */
export function colorClass(label) {
  if (!colorOfLabel.has(label)) colorOfLabel.set(label, colorOfLabel.size % COLORS);
  return `color-${colorOfLabel.get(label)}`;
}

/** Return a function from the offset of a code point to that of its UTF-16 code unit. */
export function unitOffsets(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (offset) => offset;
  const offsets = [];
  let unit = 0;
  for (const character of text) {
    offsets.push(unit);
    unit += character.length;
  }
  return (offset) => offsets[offset] ?? text.length;
}

/** Return spans as a forest. A span that overlaps the end of another is cut there; its rest is `continued`. */
export function nest(spans) {
  const before = (a, b) => a.start - b.start || b.end - a.end;
  const pending = [...spans].sort(before);
  const root = { children: [] };
  const stack = [];
  for (let next = 0; next < pending.length; next++) {
    const span = pending[next];
    while (stack.length && stack.at(-1).end <= span.start) stack.pop();
    const parent = stack.at(-1);
    const node = { ...span, children: [] };
    if (parent && span.end > parent.end) {
      node.end = parent.end;
      const rest = { ...span, start: parent.end, continued: true };
      let place = next + 1;
      while (place < pending.length && before(pending[place], rest) <= 0) place++;
      pending.splice(place, 0, rest);
    }
    (parent ?? root).children.push(node);
    stack.push(node);
  }
  return root.children;
}

function mark(text, node) {
  const name = node.continued ? `↳ ${node.label}` : node.label;
  const title = node.score === undefined ? node.label : `${node.label} · ${number(node.score)}`;
  const element = el("mark", { class: `${colorClass(node.label)}${node.continued ? " continued" : ""}`, title });
  let position = node.start;
  for (const child of node.children) {
    element.append(text.slice(position, child.start), mark(text, child));
    position = child.end;
  }
  element.append(text.slice(position, node.end), el("span", { class: "mark-label" }, name));
  return element;
}

/**
 * Draw a text with its spans into a container, one block per line.
 *
 * Long texts are drawn in pieces, so that the page stays responsive; a container that was removed is not drawn further.
 */
export async function drawMarks(container, text, spans) {
  const unit = unitOffsets(text);
  const valid = spans
    .filter((span) => Number.isInteger(span.start) && span.start >= 0 && span.end > span.start)
    .map((span) => ({ ...span, start: unit(span.start), end: Math.min(unit(span.end), text.length) }))
    .filter((span) => span.end > span.start);
  let line = null;
  let nodes = 0;
  const newLine = () => container.append((line = el("div", { class: "line" })));
  const appendText = async (part) => {
    const lines = part.split("\n");
    for (const [index, piece] of lines.entries()) {
      if (index) newLine();
      if (piece) line.append(piece);
      if (++nodes % NODES_PER_PAUSE === 0) await pause();
    }
  };
  newLine();
  let position = 0;
  for (const node of nest(valid)) {
    await appendText(text.slice(position, node.start));
    line.append(mark(text, node));
    position = node.end;
    if (nodes > NODES_PER_PAUSE && !container.isConnected) return;
  }
  await appendText(text.slice(position));
}
