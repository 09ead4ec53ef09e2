// The panel of a task: text, examples, result, commands.

import { ServiceError, address, hasKey, request } from "./api.js";
import { commandBlock, curlCommand, nlpkitCommand } from "./commands.js";
import { el, pause } from "./dom.js";
import { applyStrings, count, t } from "./strings.js";
import { COMPARED, EXAMPLES, MAX_THRESHOLD, MIN_THRESHOLD, WITH_THRESHOLD } from "./tasks.js";
import { view } from "./views.js";

const MAX_JSON = 20_000; // characters shown

function characters(text) {
  let n = text.length;
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) n--;
  return n;
}

/** Return the words for an error: what happened, and what the service said. */
export function errorText(error) {
  if (!(error instanceof ServiceError)) return t("error.page", { message: error.message });
  const known = [0, 401, 413, 421, 422, 429, 503, 504];
  const words = t(known.includes(error.status) ? `error.${error.status}` : "error.other", {
    status: error.status,
    seconds: error.retryAfter ?? "1",
  });
  return error.message ? `${words}\n${t("error.message", { message: error.message })}` : words;
}

/** A tab panel with the controls of one task. */
export class Panel {
  #abort = null;
  #answer = null; // {body, record, seconds}

  /** Build the panel; `onUnauthorized` is called with a function that repeats the request. */
  constructor(task, onUnauthorized) {
    this.task = task;
    this.model = null;
    this.ownThreshold = null; // of the model
    this.onUnauthorized = onUnauthorized;
    const field = { kgqa: "question", search: "query" }[task] ?? "text";
    this.text = el("textarea", {
      id: `text-${task}`, rows: task === "kgqa" || task === "search" ? 2 : 4, spellcheck: "false", lang: "zh",
      "aria-describedby": `count-${task}`,
    });
    this.counter = el("p", { class: "note counter", id: `count-${task}` });
    this.run = el("button", { type: "button", class: "primary", "data-string": "run", "aria-keyshortcuts": "Control+Enter" });
    this.cancel = el("button", { type: "button", hidden: true, "data-string": "cancel" });
    this.status = el("p", { class: "summary", role: "status" });
    this.error = el("div", { class: "error", role: "alert", hidden: true });
    this.result = el("div", { class: "result" });
    this.modelName = el("p", { class: "note model" });
    this.text.addEventListener("input", () => this.#showCount());
    this.run.addEventListener("click", () => this.send());
    this.cancel.addEventListener("click", () => this.stop());
    this.element = el("div", {
      class: "card", id: `panel-${task}`, role: "tabpanel", "aria-labelledby": `tab-${task}`, tabindex: "0", hidden: true,
    },
      el("p", { class: "about", "data-string": task in EXAMPLES ? `about.${task}` : null }), this.modelName,
      el("label", { for: `text-${task}`, "data-string": `field.${field}` }), this.text, this.counter,
      this.#examples(), ...this.#extraFields(),
      el("div", { class: "row" }, this.run, this.cancel, el("span", { class: "note keys", "data-string": "keys" })),
      this.error, this.status, this.result);
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.relabel();
  }

  /** Write all words again, after a change of the language. */
  relabel() {
    applyStrings(this.element);
    for (const [index, button] of [...this.element.querySelectorAll(".example")].entries()) {
      button.setAttribute("aria-label", t("example", { text: EXAMPLES[this.task][index] }));
    }
    this.#showModel();
    this.#showCount();
    this.error.hidden = true;
    this.status.textContent = this.#abort ? t("running") : "";
    if (this.#answer) this.#draw();
  }

  /** Show the name of the model, and its own threshold if it has one. */
  setModel(model, threshold = null) {
    this.model = model;
    this.ownThreshold = threshold;
    this.#showModel();
    if (this.#answer && !this.#abort) this.#draw();
  }

  /** End the request that is in progress. */
  stop() {
    if (!this.#abort) return;
    this.#abort.abort();
    this.#abort = null;
    this.#setRunning(false);
    this.status.textContent = t("cancelled");
    this.text.focus();
  }

  /** Send the text; a request in progress is replaced. */
  async send() {
    const text = this.text.value;
    this.error.hidden = true;
    if (!text.trim()) {
      this.#showError(t("error.empty"));
      this.text.focus();
      return;
    }
    if (this.threshold && !this.#checkThreshold()) return;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#setRunning(true);
    this.status.textContent = t("running");
    const start = performance.now();
    try {
      const body = this.#body(text);
      await pause();
      const record = await request(`v1/${this.task}`, body, abort.signal);
      if (this.#abort !== abort) return;
      this.#answer = { body, record, seconds: (performance.now() - start) / 1000 };
      this.#draw();
    } catch (error) {
      if (this.#abort !== abort || error.name === "AbortError") return;
      this.#answer = null;
      this.result.replaceChildren();
      this.status.textContent = "";
      this.#showError(errorText(error));
      if (error.status === 401) this.onUnauthorized(() => this.send());
    }
    this.#abort = null;
    this.#setRunning(false);
  }

  #body(text) {
    const other = this.compare?.value ?? "";
    if (other.trim()) return { texts: [text, other] };
    if (this.threshold?.value) return { text, threshold: Number(this.threshold.value) };
    if (this.explain?.checked) return { text, explain: true };
    if (this.task !== "search") return { text };
    const k = Math.round(Number(this.k.value));
    return { text, k: k >= 1 && k <= 1000 ? k : 10 };
  }

  /** Return whether the field of the threshold is empty or has a valid number; if not, say so. */
  #checkThreshold() {
    const { value, validity } = this.threshold;
    const valid = !validity.badInput && (value === "" || (value >= MIN_THRESHOLD && value <= MAX_THRESHOLD));
    this.threshold.setAttribute("aria-invalid", String(!valid));
    if (!valid) {
      this.#showError(t("error.threshold", { min: MIN_THRESHOLD, max: MAX_THRESHOLD }));
      this.threshold.focus();
    }
    return valid;
  }

  #examples() {
    const buttons = (EXAMPLES[this.task] ?? []).map((text, index) => {
      const button = el("button", { type: "button", class: "example", lang: "zh" }, text);
      button.addEventListener("click", () => {
        this.text.value = text;
        if (this.compare) this.compare.value = COMPARED[index];
        this.#showCount();
        this.send();
      });
      return button;
    });
    const name = el("span", { class: "note", "data-string": "examples" });
    return buttons.length ? el("div", { class: "examples" }, name, ...buttons) : null;
  }

  #extraFields() {
    if (this.task === "embed") {
      this.compare = el("textarea", { id: "compare", rows: 2, spellcheck: "false", lang: "zh" });
      return [el("label", { for: "compare", "data-string": "field.compare" }), this.compare];
    }
    if (this.task === "search") {
      this.k = el("input", { id: "k", type: "number", min: 1, max: 1000, value: 10 });
      return [el("div", { class: "row inline" }, el("label", { for: "k", "data-string": "field.k" }), this.k)];
    }
    if (WITH_THRESHOLD.includes(this.task)) {
      const id = `threshold-${this.task}`;
      const bounds = { min: MIN_THRESHOLD, max: MAX_THRESHOLD, step: "any" };
      this.threshold = el("input", { id, type: "number", ...bounds, "aria-describedby": `${id}-note` });
      this.thresholdNote = el("span", { class: "note", id: `${id}-note` });
      const label = el("label", { for: id, "data-string": "field.threshold" });
      return [el("div", { class: "row inline" }, label, this.threshold, this.thresholdNote)];
    }
    if (this.task === "kgqa") {
      this.explain = el("input", { id: "explain", type: "checkbox", "aria-describedby": "explain-note" });
      const note = el("span", { class: "note", id: "explain-note", "data-string": "explain.note" });
      const label = el("label", { for: "explain", "data-string": "field.explain" });
      return [el("div", { class: "row inline" }, this.explain, label, note)];
    }
    return [];
  }

  #onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape") this.stop();
  }

  #setRunning(running) {
    if (!running && document.activeElement === this.cancel) this.run.focus();
    this.cancel.hidden = !running;
    this.result.setAttribute("aria-busy", String(running));
    this.element.classList.toggle("running", running);
  }

  #showModel() {
    this.modelName.textContent = this.model ? t("model", { model: this.model }) : "";
    if (!this.threshold) return;
    const own = typeof this.ownThreshold === "number" ? String(Number(this.ownThreshold.toFixed(4))) : null;
    this.threshold.placeholder = own ?? "";
    this.thresholdNote.textContent = own ? t("threshold.own", { value: own }) : t("threshold.unknown");
  }

  #showCount() {
    this.counter.textContent = count("characters", characters(this.text.value));
  }

  #showError(text) {
    this.error.textContent = text;
    this.error.hidden = false;
  }

  #draw() {
    const { body, record, seconds } = this.#answer;
    const { summary, nodes } = view(this.task, record);
    const windows = record.windows > 1 ? ` · ${t("windows", { n: record.windows })}` : "";
    this.status.textContent = `${summary}${windows} · ${t("seconds", { s: seconds.toFixed(2) })}`;
    const usesPlaceholder = this.task === "kgqa" || this.task === "search";
    this.result.replaceChildren(
      ...nodes.filter((node) => node),
      this.#json(record),
      el("section", {},
        el("h2", {}, t("commands")),
        commandBlock("curl", curlCommand(address(`v1/${this.task}`), body, hasKey())),
        commandBlock("nlpkit", nlpkitCommand(this.task, body, this.model)),
        usesPlaceholder ? el("p", { class: "note" }, t(`placeholder.${this.task}`)) : null));
  }

  #json(record) {
    const content = el("pre", { tabindex: "0" });
    const details = el("details", {}, el("summary", {}, t("json")), content);
    details.addEventListener("toggle", () => {
      if (!details.open || content.textContent) return;
      const text = JSON.stringify(record, null, 1);
      content.textContent = text.length > MAX_JSON ? `${text.slice(0, MAX_JSON)}…` : text;
    });
    return details;
  }
}
