// Comparison of two inputs: each part of one with the whole of the other, or with one of its parts.

import { match } from "./api.js";
import { gradient, textColor } from "./colormap.js";
import { $, element, formatNumber, option } from "./dom.js";
import { TextView } from "./text-view.js";
import { ImageView } from "./image-view.js";

const MEASURES = [
  ["contributions", "contribution to the similarity"],
  ["similarities", "similarity to the other input"],
  ["relevance", "attention weight (rollout)"],
];

let shown = null;

/** Ask and show. Throws ApiError. */
export async function compare(model, inputs, signal) {
  const answer = await match(model, inputs, signal);
  const measures = MEASURES.filter(([name]) => answer.inputs.every((side) => side[name]));
  $("measure").replaceChildren(...measures.map(([name, label]) => option(name, label)));
  const drawings = answer.inputs.map((side, i) => drawing(side, inputs[i], i));
  shown = { answer, drawings, pointed: null };
  $("similarity").textContent = formatNumber(answer.similarity);
  $("meaning").textContent = answer.meaning ?? "";
  $("sides").replaceChildren(...drawings.map((one) => element("div", {}, one.node)));
  $("compared").hidden = false;
  paint();
}

function drawing(side, input, i) {
  const point = (positions) => {
    shown.pointed = positions && { side: i, position: positions[0] };
    paint();
  };
  const on = { point, pin: () => {} };
  const label = i === 0 ? "First input" : "Second input";
  return side.tokens ? new TextView(input.text, side.tokens, label, on) : new ImageView(input.url, side.grid, input.size, label, on, textColor);
}

/** Shade each side up to its own largest. */
export function paint() {
  if (!shown) return;
  const { answer, drawings, pointed } = shown;
  const values = answer.inputs.map((side) => side[$("measure").value]);
  if (pointed && answer.pairs) {
    const pairs = answer.pairs;
    values[1 - pointed.side] = pointed.side === 0 ? pairs[pointed.position] : pairs.map((row) => row[pointed.position]);
  }
  drawings.forEach((one, i) => one.show(values[i], one.scale(values[i]), pointed?.side === i ? [pointed.position] : null));
  const signed = values.some((of) => of.some((value) => value < 0));
  $("compare-legend").style.backgroundImage = gradient(textColor, signed ? -1 : 0);
  $("least").textContent = signed ? "against" : "0";
  $("most").textContent = "for";
}

$("measure").onchange = paint;
$("other").oninput = () => { $("other-scene").value = ""; };
$("other-scene").onchange = () => { if ($("other-scene").value) $("other").value = ""; };
