// The words of the page in both languages, from strings.json.

let tables = { en: {}, zh: {} };
let current = "en";

/** Load the words and choose the language: the one chosen before, else that of the browser. */
export async function loadStrings() {
  tables = await (await fetch("static/strings.json")).json();
  let chosen = null;
  try {
    chosen = localStorage.getItem("nlpkit-language");
  } catch {
    // storage may be switched off
  }
  setLanguage(chosen in tables ? chosen : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en", false);
}

/** Return the language, "en" or "zh". */
export function language() {
  return current;
}

/** Switch to a language, and store the choice if `store` is true. */
export function setLanguage(code, store = true) {
  current = code;
  document.documentElement.lang = code === "zh" ? "zh-CN" : "en";
  if (!store) return;
  try {
    localStorage.setItem("nlpkit-language", code);
  } catch {
    // the choice lasts until the page is closed
  }
}

/** Return the text of a key, with {name} replaced by the values. */
export function t(key, values = {}) {
  const text = tables[current][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (match, name) => (name in values ? String(values[name]) : match));
}

/** Return the text of a key for a number of things: KEY.one or KEY.other. */
export function count(key, n) {
  return t(`${key}.${n === 1 ? "one" : "other"}`, { n: n.toLocaleString("en") });
}

/** Fill in all elements below `root` with data-string, data-string-aria-label or data-string-placeholder. */
export function applyStrings(root) {
  for (const element of root.querySelectorAll("[data-string]")) element.textContent = t(element.dataset.string);
  for (const name of ["aria-label", "placeholder"]) {
    const attribute = `data-string-${name}`;
    for (const element of root.querySelectorAll(`[${attribute}]`)) {
      element.setAttribute(name, t(element.getAttribute(attribute)));
    }
  }
}
