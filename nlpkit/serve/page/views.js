// How the record of each task is drawn: {summary, nodes}.

import { bar, el, number } from "./dom.js";
import { drawGraph } from "./graph.js";
import { drawMarks } from "./marks.js";
import { count, t } from "./strings.js";
import { dataTable, offsets, scoreCell } from "./table.js";

function markedText(text, spans) {
  const container = el("div", { class: "marked", lang: "zh" });
  drawMarks(container, text, spans);
  return container;
}

function section(title, ...nodes) {
  return el("section", {}, el("h2", {}, title), ...nodes);
}

function graphSection(groups, description) {
  const container = el("div", { class: "graph-frame" });
  const left = drawGraph(container, groups, description);
  return section(t("graph"), container, left ? el("p", { class: "note" }, count("graph.left", left)) : null);
}

function ner(record) {
  const entities = record.entities ?? [];
  const rows = entities.map((entity) => [entity.text, entity.label, offsets(entity), scoreCell(entity.score)]);
  const headers = [t("text"), t("label"), t("offsets"), t("score")];
  return {
    summary: count("entities", entities.length),
    nodes: [
      markedText(record.text, entities),
      rows.length ? section(t("table"), dataTable(t("task.ner"), headers, rows, [2, 3])) : null,
    ],
  };
}

function relation(record) {
  const relations = record.relations ?? [];
  const spans = new Map();
  const groups = new Map();
  for (const { subject, predicate, object, score } of relations) {
    for (const [role, span] of [["subject", subject], ["object", object]]) {
      spans.set(`${role} ${span.start} ${span.end}`, { start: span.start, end: span.end, label: t(role) });
    }
    const key = Number.isInteger(subject.start) ? `${subject.start} ${subject.end}` : subject.text;
    if (!groups.has(key)) groups.set(key, { hub: subject.text, caption: null, links: [] });
    groups.get(key).links.push({ label: predicate, node: object.text, score });
  }
  const rows = relations.map(({ subject, predicate, object, score }) => [
    subject.text, predicate, object.text, scoreCell(score),
  ]);
  const headers = [t("subject"), t("predicate"), t("object"), t("score")];
  const nodes = [markedText(record.text, [...spans.values()])];
  if (rows.length) {
    nodes.push(graphSection([...groups.values()], t("graph.relations")));
    nodes.push(section(t("table"), dataTable(t("task.relation"), headers, rows, [3])));
  }
  return { summary: count("relations", relations.length), nodes };
}

function event(record) {
  const events = record.events ?? [];
  const spans = new Map();
  const add = (span, label, score) => spans.set(`${span.start} ${span.end} ${label}`, { ...span, label, score });
  for (const item of events) {
    if (item.trigger) add(item.trigger, t("event.trigger", { type: item.type }), item.trigger.score);
    for (const argument of item.arguments ?? []) add(argument, argument.role, argument.score);
  }
  const groups = events.map((item) => ({
    hub: item.trigger?.text ?? item.type,
    caption: item.trigger ? item.type : null,
    links: (item.arguments ?? []).map((argument) => ({ label: argument.role, node: argument.value ?? argument.text })),
  }));
  const tables = events.map((item) => {
    const rows = [
      ...(item.trigger ? [[t("trigger"), item.trigger.text, offsets(item.trigger), ""]] : []),
      ...(item.arguments ?? []).map((argument) => [
        argument.role, argument.value ?? argument.text, offsets(argument), scoreCell(argument.score),
      ]),
    ];
    const caption = t("event.caption", { type: item.type, score: number(item.score) });
    return dataTable(caption, [t("role"), t("text"), t("offsets"), t("score")], rows, [2, 3]);
  });
  const nodes = [markedText(record.text, [...spans.values()])];
  if (events.length) nodes.push(graphSection(groups, t("graph.events")), section(t("table"), ...tables));
  return { summary: count("events", events.length), nodes };
}

function classify(record) {
  const labels = record.labels ?? [];
  const best = "label" in record ? (record.label ?? t("classify.none")) : labels.map((item) => item.label).join("、");
  const rows = labels.map((item) =>
    el("li", {}, el("span", { class: "bar-name" }, item.label), bar(item.score), el("span", {}, number(item.score))));
  return {
    summary: best ? t("classify.summary", { label: best }) : t("classify.none"),
    nodes: [
      el("p", { class: "verdict" }, best || t("classify.none")),
      el("ol", { class: "bars", "aria-label": t("labels") }, ...rows),
      record.truncated ? el("p", { class: "note" }, t("classify.truncated")) : null,
    ],
  };
}

function entityName(fact) {
  return fact.meaning ? `${fact.subject}（${fact.meaning}）` : fact.subject;
}

function step(fact) {
  return [
    el("span", { class: "chain-node" }, entityName(fact)),
    el("span", { class: "chain-edge" }, fact.predicate, el("span", { "aria-hidden": "true" }, " →")),
  ];
}

function answer(fact) {
  const objects = fact.objects ?? [];
  const path = fact.path ?? [];
  const chain = [...path, fact].flatMap(step);
  chain.push(el("span", { class: "chain-node found" }, objects.join("、")));
  const why = path.length
    ? t("kgqa.why.path", { first: path[0].objects.join("、"), predicate: fact.predicate })
    : t("kgqa.why", { subject: entityName(fact), predicate: fact.predicate });
  return el("li", {},
    el("p", { class: "objects" }, objects.join("、")),
    el("p", { class: "chain", "aria-label": t("kgqa.path") }, ...chain),
    el("p", { class: "note" }, why),
    scoreCell(fact.score));
}

function shownToken(token) {
  return token === "[SEP]" ? "|" : token.replace(/^##/, "");
}

function options(step) {
  const sorted = Object.entries(step.options).sort((one, other) => other[1] - one[1]); // digits come first otherwise
  const items = sorted.map(([token, probability]) =>
    el("li", {}, el(token === step.chosen ? "strong" : "span", { lang: "zh" }, shownToken(token)), scoreCell(probability)));
  return el("ul", { class: "options" }, ...items);
}

function explanation(steps) {
  if (!steps.length) return section(t("steps"), el("p", { class: "note" }, t("steps.none")));
  const rows = steps.map((step) => [
    step.after || t("none"), step.allowed.toLocaleString("en"), shownToken(step.chosen), options(step),
  ]);
  const headers = [t("steps.after"), t("steps.allowed"), t("steps.chosen"), t("steps.options")];
  return section(t("steps"), dataTable(t("steps.caption"), headers, rows, [1]));
}

function kgqa(record) {
  const answers = record.answers ?? [];
  const status = ["ok", "unsure", "not_in_graph"].includes(record.status) ? record.status : "unknown";
  const best = answers[0]?.objects.join("、");
  const list = answers.map(answer);
  const rest = list.slice(1);
  const others = status === "ok" ? t("kgqa.others") : t("kgqa.candidates");
  return {
    summary: t("kgqa.summary", { status: record.status }) + (status === "ok" && best ? ` · ${best}` : ""),
    nodes: [
      el("p", { class: `status ${status}` }, el("strong", {}, record.status), " ", t(`kgqa.${status}`)),
      status === "ok" && list.length ? el("ol", { class: "answers best", "aria-label": t("kgqa.best") }, list[0]) : null,
      status === "ok" && rest.length ? section(others, el("ol", { class: "answers", start: 2 }, ...rest)) : null,
      status !== "ok" && list.length ? section(others, el("ol", { class: "answers" }, ...list)) : null,
      record.steps ? explanation(record.steps) : null,
    ],
  };
}

/** Return the cosine similarity of two vectors. */
export function cosine(a, b) {
  let dot = 0;
  let squares = 0;
  let otherSquares = 0;
  for (const [index, value] of a.entries()) {
    dot += value * b[index];
    squares += value * value;
    otherSquares += b[index] * b[index];
  }
  return dot / Math.sqrt(squares * otherSquares);
}

function vector(record) {
  const values = record.embedding;
  if (!values) return el("p", {}, t("embed.none"));
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const first = values.slice(0, 8).map((value) => el("li", {}, value.toFixed(4)));
  return el("div", { class: "vector" },
    el("p", { class: "vector-text" }, record.text.length > 200 ? `${record.text.slice(0, 200)}…` : record.text),
    el("ol", { class: "numbers", "aria-label": t("embed.first") }, ...first, values.length > 8 ? el("li", {}, "…") : null),
    el("p", { class: "note" }, t("embed.size", { n: values.length, norm: number(norm) })));
}

function embed(record) {
  const records = record.results ?? [record];
  const nodes = records.map(vector);
  let summary = t("embed.summary", { n: records[0].embedding?.length ?? 0 });
  if (records.length === 2 && records.every((item) => item.embedding)) {
    const similarity = cosine(records[0].embedding, records[1].embedding);
    summary = t("embed.cosine", { score: number(similarity) });
    nodes.unshift(el("p", { class: "verdict" }, summary, " ", bar(similarity)));
  }
  return { summary, nodes };
}

function search(record) {
  const results = record.results ?? [];
  const item = (result) => {
    const facts = [
      [t("score"), number(result.score)],
      ["cosine" in result && t("cosine"), number(result.cosine)],
      ["bm25" in result && "BM25", number(result.bm25)],
      [t("line"), result.line ?? t("none")],
    ].filter(([name]) => name);
    const list = facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))));
    return el("li", {}, el("p", { lang: "zh" }, result.text), el("div", { class: "facts" }, bar(result.score), el("dl", {}, ...list)));
  };
  return {
    summary: count("results", results.length),
    nodes: [results.length ? el("ol", { class: "answers" }, ...results.map(item)) : el("p", {}, t("search.none"))],
  };
}

const VIEWS = { ner, relation, event, classify, kgqa, embed, search };

/** Return {summary, nodes} for the record of a task; the record alone is shown for a task that has no view. */
export function view(task, record) {
  return VIEWS[task]?.(record) ?? { summary: t("done"), nodes: [] };
}
