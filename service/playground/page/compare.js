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
  const response = await match(model, inputs, signal);
  const measures = MEASURES.filter(([name]) => response.inputs.every((side) => side[name]));
  $("measure").replaceChildren(...measures.map(([name, label]) => option(name, label)));
  const drawings = response.inputs.map((side, i) => drawing(side, inputs[i], i));
  shown = { response, drawings, hovered: null };
  $("similarity").textContent = formatNumber(response.similarity);
  $("meaning").textContent = response.meaning ?? "";
  $("sides").replaceChildren(...drawings.map((one) => element("div", {}, one.node)));
  $("compared").hidden = false;
  paint();
}

function drawing(side, input, i) {
  const hover = (positions) => {
    shown.hovered = positions && { side: i, position: positions[0] };
    paint();
  };
  const on = { hover, pin: () => {} };
  const label = i === 0 ? "First input" : "Second input";
  return side.tokens ? new TextView(input.text, side.tokens, label, on) : new ImageView(input.url, side.grid, input.size, label, on, textColor);
}

/** Shade each side up to its own largest. */
export function paint() {
  if (!shown) return;
  const { response, drawings, hovered } = shown;
  const values = response.inputs.map((side) => side[$("measure").value]);
  if (hovered && response.pairs) {
    const pairs = response.pairs;
    values[1 - hovered.side] = hovered.side === 0 ? pairs[hovered.position] : pairs.map((row) => row[hovered.position]);
  }
  drawings.forEach((one, i) => one.show(values[i], one.scale(values[i]), hovered?.side === i ? [hovered.position] : null));
  const signed = values.some((side) => side.some((value) => value < 0));
  $("compare-legend").style.backgroundImage = gradient(textColor, signed ? -1 : 0);
  $("compare-min").textContent = signed ? "against" : "0";
  $("compare-max").textContent = "for";
}

$("measure").onchange = paint;
$("other").oninput = () => { $("other-scene").value = ""; };
$("other-scene").onchange = () => { if ($("other-scene").value) $("other").value = ""; };
