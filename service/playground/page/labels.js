// Labels of a text, and labeled spans in it.

import { request } from "./api.js";
import { tokenSpans, showControlCharacters } from "./codepoints.js";
import { $, element, formatNumber, option } from "./dom.js";

const MAX_LABELS = 10;

let models = [];

/** Show the models that label texts or their tokens; without one, no card. */
export function showLabelModels(all) {
  models = all.filter((each) => each.modality === "text" && each.tasks.some((task) => task.endsWith("classify")));
  $("label-model").replaceChildren(...models.map((each) => option(each.id, each.id)));
  $("label-card").hidden = models.length === 0;
}

/** Label the text of the card, and show it. Throws ApiError. */
export async function label(signal) {
  const model = models.find((each) => each.id === $("label-model").value);
  const text = $("label-text").value;
  const shown = model.tasks.includes("token-classify") ? await spans(model, text, signal) : await classes(model, text, signal);
  $("labeled").replaceChildren(shown);
  $("labeled").hidden = false;
}

async function spans(model, text, signal) {
  const body = { model: model.id, inputs: text, parameters: { aggregation_strategy: "simple" } };
  const entities = await request("predict_tokens", { body, signal });
  if (entities.length === 0) return element("p", { class: "note" }, "No span has a label.");
  const parts = tokenSpans(text, entities).map((span) => {
    if (span.tokens.length === 0) return showControlCharacters(span.text);
    const entity = entities[span.tokens[0]];
    return element("mark", { class: "entity", title: formatNumber(entity.score) },
      showControlCharacters(span.text), element("span", { class: "entity-label" }, entity.entity_group));
  });
  return element("p", { class: "text", dir: "auto" }, ...parts);
}

async function classes(model, text, signal) {
  const body = { model: model.id, input: text, top_k: MAX_LABELS };
  const [{ labels }] = (await request("v1/classify", { body, signal })).data;
  const rows = labels.map((each) => {
    const bar = element("span", { class: "similarity-bar", "aria-hidden": "true" });
    bar.style.setProperty("--fraction", Math.min(1, Math.max(0, each.score)));
    return element("li", {}, element("span", { class: "result" }, element("span", { class: "label" }, each.label), bar,
      element("span", { class: "cosine" }, formatNumber(each.score))));
  });
  return element("ol", { class: "ranking" }, ...rows);
}
