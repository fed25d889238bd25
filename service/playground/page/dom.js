// Elements in one expression. Text is always put in as text: nothing here parses HTML.

export const $ = (id) => document.getElementById(id);

/** element("p", {class: "note", "aria-label": "…", onclick}, "text", child…); null and false children are left out. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

export const option = (value, text) => element("option", { value }, text);

/** Runs `act` when calls have ceased for `ms`. */
export function debounce(act, ms) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), ms);
  };
}

/** A number for people: three significant digits, never in exponents. */
export function formatNumber(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.0001) return (value < 0 ? "−" : "") + "<0.0001";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(digits, 6)).replace("-", "−");
}
