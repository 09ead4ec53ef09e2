// Small graphs: a hub at the left, linked to nodes at the right. A subject with its objects, or a trigger with arguments.

import { svg } from "./dom.js";

const FONT = 14;
const LINE = 19;
const PAD = 9;
const ROW_GAP = 14;
const GROUP_GAP = 22;
const CURVE = 42;
const MAX_LINES = 3;
const MAX_WIDTH = 760;
const MAX_LINKS = 100;

const canvas = document.createElement("canvas").getContext("2d");

function textWidth(text, size) {
  canvas.font = `${size}px system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif`;
  return canvas.measureText(text).width;
}

/** Return the lines of a text that is wrapped to a width; the last line ends with … if the text is longer. */
function wrap(text, width, size, maxLines) {
  const lines = [""];
  for (const piece of text.match(/[A-Za-z0-9.,:%-]{1,12}\s?|[^]/gu) ?? []) {
    if (textWidth(lines.at(-1) + piece, size) <= width || !lines.at(-1)) lines[lines.length - 1] += piece;
    else if (lines.length < maxLines) lines.push(piece);
    else {
      let last = lines.pop();
      while (last && textWidth(`${last}…`, size) > width) last = [...last].slice(0, -1).join("");
      return [...lines, `${last}…`];
    }
  }
  return lines;
}

/** Return a box with its text: {element, width, height, place(x, y)}; a caption stands above the text. */
function box(text, caption, kind, maxWidth) {
  const inner = maxWidth - 2 * PAD;
  const captions = caption ? wrap(caption, inner, FONT - 2, 2) : [];
  const lines = wrap(text, inner, FONT, MAX_LINES);
  const widths = [...captions.map((line) => textWidth(line, FONT - 2)), ...lines.map((line) => textWidth(line, FONT))];
  const width = Math.min(maxWidth, Math.max(36, ...widths) + 2 * PAD);
  const height = LINE * (lines.length + captions.length) + 2 * PAD - 4;
  const group = svg("g", { class: `node ${kind}` }, svg("title", {}, text), svg("rect", { width, height, rx: 7 }));
  [...captions, ...lines].forEach((line, index) => {
    const attributes = { x: width / 2, y: PAD + LINE * index + 13, "text-anchor": "middle" };
    group.append(svg("text", { ...attributes, class: index < captions.length ? "caption" : null }, line));
  });
  const place = (x, y) => group.setAttribute("transform", `translate(${x} ${y})`);
  return { element: group, width, height, place };
}

/**
 * Return the drawing of groups for a width in pixels.
 *
 * A group is {hub, caption, links: [{label, node}]}.
 */
function drawing(groups, width, description) {
  const total = Math.min(width, MAX_WIDTH);
  const boxWidth = Math.min(230, Math.round(total * 0.31));
  const hubs = groups.map((group) => box(group.hub, group.caption, "hub", boxWidth));
  const leaves = groups.map((group) => group.links.map((link) => box(link.node, null, "leaf", boxWidth)));
  const bend = 1 + CURVE + Math.max(...hubs.map((hub) => hub.width));
  const labels = groups.flatMap((group) => group.links.map((link) => textWidth(link.label, FONT - 2)));
  const widest = Math.max(0, ...leaves.flat().map((leaf) => leaf.width));
  const right = Math.min(total - widest - 1, bend + Math.max(50, ...labels) + 34);
  const room = right - bend - 14;
  const edges = svg("g", { class: "edges" });
  const nodes = svg("g");
  let top = 2;
  for (const [index, group] of groups.entries()) {
    const hub = hubs[index];
    const boxes = leaves[index];
    const height = boxes.reduce((sum, item) => sum + item.height, 0) + ROW_GAP * Math.max(0, boxes.length - 1);
    const all = Math.max(height, hub.height);
    const middle = top + all / 2;
    hub.place(1, middle - hub.height / 2);
    nodes.append(hub.element);
    let y = top + (all - height) / 2;
    group.links.forEach((link, order) => {
      const item = boxes[order];
      const center = y + item.height / 2;
      item.place(right, y);
      nodes.append(item.element);
      const start = 1 + hub.width;
      const turn = (start + bend) / 2;
      const path = `M${start} ${middle} C${turn} ${middle} ${turn} ${center} ${bend} ${center} H${right - 8}`;
      const label = wrap(link.label, room, FONT - 2, 1)[0];
      edges.append(
        svg("path", { d: path, class: "edge" }),
        svg("path", { d: `M${right - 9} ${center - 4.5} L${right - 1} ${center} L${right - 9} ${center + 4.5}Z`, class: "head" }),
        svg("text", { x: bend + room / 2 + 2, y: center - 6, "text-anchor": "middle" }, label, svg("title", {}, link.label)),
      );
      y += item.height + ROW_GAP;
    });
    top += all + GROUP_GAP;
  }
  const size = { width: Math.min(total, right + widest + 2), height: top - GROUP_GAP + 2 };
  return svg("svg", { ...size, role: "img", "aria-label": description, class: "graph" }, edges, nodes);
}

/** Keep the drawing of groups in a container, redrawn when its width changes; return the number of links left out. */
export function drawGraph(container, groups, description) {
  let room = MAX_LINKS;
  let left = 0;
  const shown = [];
  for (const group of groups) {
    const links = group.links.slice(0, Math.max(0, room));
    left += group.links.length - links.length;
    if (room > 0) shown.push({ ...group, links });
    room -= Math.max(1, links.length);
  }
  let drawn = 0;
  const observer = new ResizeObserver(() => {
    const width = Math.floor(container.clientWidth);
    if (!width || width === drawn) return;
    drawn = width;
    container.replaceChildren(drawing(shown, width, description));
  });
  observer.observe(container);
  return left;
}
