// The page: language, key, tabs.

import { request, setKey } from "./api.js";
import { el } from "./dom.js";
import { Panel, errorText } from "./panel.js";
import { applyStrings, language, loadStrings, setLanguage, t } from "./strings.js";
import { EXAMPLES } from "./tasks.js";

const byId = (id) => document.getElementById(id);
const panels = new Map();
let repeat = null; // what to do when a key was entered
let startError = null;

function tab(task) {
  return byId(`tab-${task}`);
}

function select(task, focus = false) {
  for (const [name, panel] of panels) {
    const selected = name === task;
    tab(name).setAttribute("aria-selected", String(selected));
    tab(name).tabIndex = selected ? 0 : -1;
    panel.element.hidden = !selected;
  }
  if (focus) tab(task).focus();
  history.replaceState(null, "", `#${task}`);
}

function onTabKey(event) {
  const names = [...panels.keys()];
  const index = names.indexOf(event.target.dataset.task);
  const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: names.length - 1 }[event.key];
  if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  select(names[(next + names.length) % names.length], true);
}

function addTask(task) {
  const button = el("button", {
    type: "button", role: "tab", id: `tab-${task}`, "aria-controls": `panel-${task}`, "aria-selected": "false",
    tabindex: "-1", "data-task": task, "data-string": task in EXAMPLES ? `task.${task}` : null,
  }, task);
  button.addEventListener("click", () => select(task));
  byId("tabs").append(button);
  const panel = new Panel(task, askForKey);
  panels.set(task, panel);
  byId("panels").append(panel.element);
}

function askForKey(action) {
  repeat = action;
  byId("key-form").hidden = false;
  byId("key").focus();
}

function relabel() {
  applyStrings(document);
  const other = language() === "zh" ? "en" : "zh";
  byId("language").textContent = { en: "English", zh: "中文" }[other];
  byId("language").lang = other;
  for (const panel of panels.values()) panel.relabel();
  if (startError) showStartError(startError);
}

function showStartError(error) {
  startError = error;
  const again = el("button", { type: "button" }, t("retry"));
  again.addEventListener("click", start);
  byId("start-error").replaceChildren(el("p", {}, errorText(error)), again);
  byId("start-error").hidden = false;
}

async function loadModels() {
  try {
    const { data } = await request("v1/models");
    for (const { id, task, threshold } of data) panels.get(task)?.setModel(id, threshold);
  } catch (error) {
    // the names are an extra; without them the tasks still work
    if (error.status === 401) askForKey(null);
  }
}

async function start() {
  const repeated = startError !== null;
  startError = null;
  byId("start-error").hidden = true;
  try {
    const { tasks } = await request("readyz");
    tasks.forEach(addTask);
  } catch (error) {
    showStartError(error);
    return;
  }
  applyStrings(document);
  const wanted = location.hash.slice(1);
  if (panels.size) select(panels.has(wanted) ? wanted : [...panels.keys()][0], repeated); // the button has gone
  await loadModels();
}

byId("tabs").addEventListener("keydown", onTabKey);
byId("language").addEventListener("click", () => {
  setLanguage(language() === "zh" ? "en" : "zh");
  relabel();
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(byId("key").value);
  byId("key").value = "";
  byId("key-form").hidden = true;
  document.querySelector("[role=tab][aria-selected=true]")?.focus();
  const action = repeat;
  repeat = null;
  loadModels().then(() => action?.());
});
window.addEventListener("hashchange", () => {
  const wanted = location.hash.slice(1);
  if (panels.has(wanted)) select(wanted);
});

await loadStrings();
relabel();
await start();
