// Inputs viewed in this session, and the nearest of them. In memory only.

import { cosine } from "./arrays.js";
import { $, element, formatNumber } from "./dom.js";
import { showControlCharacters } from "./codepoints.js";

const NEIGHBOR_COUNT = 5;
const MAX_REMEMBERED = 200;

const history = new Map();

const keyOf = (model, input) => `${model.id} ${input.kind === "image" ? input.base64 : input.text}`;

export function remember(model, input, vector) {
  const key = keyOf(model, input);
  history.delete(key);
  history.set(key, { model, input, vector });
  if (history.size > MAX_REMEMBERED) history.delete(history.keys().next().value);
}

/** Show the nearest neighbors of a vector in its space; a click calls `pick(model, input)`. */
export function showNeighbors(model, input, vector, pick) {
  const own = keyOf(model, input);
  const others = [...history].filter(([key, other]) => key !== own && other.model.space === model.space && other.vector.length === vector.length);
  const ranked = others.map(([, other]) => ({ ...other, similarity: cosine(vector, other.vector) })).sort((a, b) => b.similarity - a.similarity);
  $("neighbors-empty").hidden = ranked.length > 0;
  $("neighbors").replaceChildren(...ranked.slice(0, NEIGHBOR_COUNT).map((other) => entry(other, pick)));
}

function entry({ model, input, similarity }, pick) {
  const bar = element("span", { class: "similarity-bar", "aria-hidden": "true" });
  bar.style.setProperty("--fraction", Math.max(0, similarity));
  const thumbnail = input.kind === "image" && element("img", { src: input.url, alt: "", width: 28, height: 28 });
  const label = input.kind === "image" ? (input.caption ?? input.name) : showControlCharacters(input.text);
  return element("li", {}, element("button", { type: "button", class: "result", onclick: () => pick(model, input) },
    thumbnail, element("span", { class: "label", dir: "auto" }, label), bar, element("span", { class: "cosine" }, formatNumber(similarity))));
}
