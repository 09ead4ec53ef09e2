// The commands below a result: the same request for curl, and the same text for nlpkit.

import { el } from "./dom.js";
import { t } from "./strings.js";
import { DEFAULT_MODELS } from "./tasks.js";

const MAX_ARGUMENT = 100_000; // bytes; Linux allows 128 KiB for one argument of a program
const MAX_SHOWN = 2_000; // characters

/** Return a text as one word of a POSIX shell. */
export function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Return the curl command of a request. */
export function curlCommand(url, body, withKey) {
  const json = JSON.stringify(body);
  const key = withKey ? ' \\\n  -H "Authorization: Bearer $NLPKIT_API_KEY"' : "";
  const head = `curl -sS ${quote(url)}${key} \\\n  -H 'Content-Type: application/json' \\\n  -d `;
  if (new TextEncoder().encode(json).length <= MAX_ARGUMENT) return head + quote(json);
  return `printf '%s' ${quote(json)} |\n${head}@-`;
}

/** Return one line of input for nlpkit, and whether it is JSON, which a text with line breaks needs. */
function inputLine(text) {
  const isJson = /[\u0000-\u0008\u000a-\u001f]/.test(text);
  return [isJson ? JSON.stringify({ text }) : text, isJson];
}

/** Return the nlpkit command that gives the same answer. */
export function nlpkitCommand(task, body, model) {
  const options = [
    body.threshold === undefined ? "" : ` --threshold ${body.threshold}`,
    body.explain ? " --explain" : "",
    model && task in DEFAULT_MODELS && model !== DEFAULT_MODELS[task] ? ` --model ${quote(model)}` : "",
  ].join("");
  if (body.texts) {
    const isJson = body.texts.some((text) => inputLine(text)[1]);
    const lines = body.texts.map((text) => `<(printf '%s\\n' ${quote(isJson ? JSON.stringify({ text }) : text)})`);
    return `nlpkit similar ${lines.join(" \\\n  ")}${isJson ? " --field text" : ""}${options}`;
  }
  const [line, isJson] = inputLine(body.text);
  const command = { kgqa: "kgqa --graph G.kg", search: `search query IDX -k ${body.k}` }[task] ?? task;
  return `printf '%s\\n' ${quote(line)} | nlpkit ${command}${isJson ? " --field text" : ""}${options}`;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // over plain HTTP from another machine there is no clipboard API
    const field = el("textarea", { class: "off-screen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    const focused = document.activeElement;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return done;
  }
}

/** Return a command with a button that copies it. Only the beginning of a long one is shown. */
export function commandBlock(name, command) {
  const label = el("span", { role: "status" });
  const button = el("button", { type: "button", class: "small copy", "aria-label": t("copy.name", { name }) }, t("copy"));
  button.addEventListener("click", async () => {
    const done = await copy(command);
    label.textContent = t(done ? "copy.done" : "copy.failed");
    setTimeout(() => (label.textContent = ""), 3000);
  });
  const isLong = command.length > MAX_SHOWN;
  return el("div", { class: "command" },
    el("div", { class: "command-head" }, el("span", { class: "command-name" }, name), label, button),
    el("pre", { tabindex: "0" }, el("code", {}, isLong ? `${command.slice(0, MAX_SHOWN)}…` : command)),
    isLong ? el("p", { class: "note" }, t("copy.shortened")) : null);
}
