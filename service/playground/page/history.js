// What was looked at in this session, and what of it is nearest. In memory only: it is gone with the page.

import { cosine } from "./arrays.js";
import { $, element, figure } from "./dom.js";
import { visible } from "./codepoints.js";

const NEAREST = 5;
const MOST = 200;

const seen = new Map();

const keyOf = (model, input) => `${model.id} ${input.kind === "image" ? input.base64 : input.text}`;

export function remember(model, input, vector) {
  const key = keyOf(model, input);
  seen.delete(key);
  seen.set(key, { model, input, vector });
  if (seen.size > MOST) seen.delete(seen.keys().next().value);
}

/** Show the nearest neighbors of a vector in its space; a click calls `pick(model, input)`. */
export function neighbors(model, input, vector, pick) {
  const own = keyOf(model, input);
  const others = [...seen].filter(([key, other]) => key !== own && other.model.space === model.space && other.vector.length === vector.length);
  const ranked = others.map(([, other]) => ({ ...other, near: cosine(vector, other.vector) })).sort((a, b) => b.near - a.near);
  $("neighbours-empty").hidden = ranked.length > 0;
  $("neighbors").replaceChildren(...ranked.slice(0, NEAREST).map((other) => entry(other, pick)));
}

function entry({ model, input, near }, pick) {
  const bar = element("span", { class: "measure", "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.max(0, near));
  const picture = input.kind === "image" && element("img", { src: input.url, alt: "", width: 28, height: 28 });
  const label = input.kind === "image" ? (input.caption ?? input.name) : visible(input.text);
  return element("li", {}, element("button", { type: "button", class: "hit", onclick: () => pick(model, input) },
    picture, element("span", { class: "label", dir: "auto" }, label), bar, element("span", { class: "near" }, figure(near))));
}
