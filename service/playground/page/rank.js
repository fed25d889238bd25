// Documents ranked for a query, each with what made its rank.

import { match, request } from "./api.js";
import { textColor, gradient } from "./colormap.js";
import { $, element, formatNumber, option } from "./dom.js";
import { TextView } from "./text-view.js";

const MAX_EXPLAINED = 10;
const REASONS = {
  "cross-encoder": "Shaded by the attention that the score pays to each token (rollout).",
  cosine: "Shaded by what each token adds to the cosine; this model reads the query and a document apart.",
};

let views = [];
let models = [];

/** Show the models that can rank: cross-encoders first, then those that embed texts. */
export function showRankModels(all) {
  const able = (task) => all.filter((each) => each.modality === "text" && each.tasks.includes(task));
  models = [...able("rerank"), ...able("embed")];
  $("rank-model").replaceChildren(...models.map((each) => option(each.id, `${each.id} (${each.tasks[0] === "rerank" ? "cross-encoder" : "cosine"})`)));
  $("rank-card").hidden = models.length === 0;
}

/** Rank the documents, one a line, and show them. Throws ApiError. */
export async function rank(signal) {
  const model = models.find((each) => each.id === $("rank-model").value);
  const query = $("rank-query").value;
  const documents = $("rank-documents").value.split("\n").filter((line) => line.trim());
  const reads = model.tasks[0] === "rerank";
  const body = { model: model.id, query, documents, return_documents: false, ...(reads && model.attention && { attention: true }) };
  const response = await request("v1/rerank", { body, signal });
  views = [];
  const rows = [];
  for (const [place, result] of response.results.entries()) {
    const text = documents[result.index];
    const reason = reads ? ofAttention(result) : place < MAX_EXPLAINED ? await ofMatch(model, query, text, signal) : null;
    rows.push(row(place, result, text, reason));
  }
  $("ranked").replaceChildren(...rows);
  $("rank-reason").textContent = REASONS[response.scoring];
  $("rank-result").hidden = false;
  paint();
}

/** The tokens of the document, with the attention that the score pays them. */
function ofAttention({ attention }) {
  if (!attention) return null;
  const indices = attention.tokens.flatMap((token, i) => (token.input === 1 ? [i] : []));
  return { tokens: indices.map((i) => attention.tokens[i]), values: indices.map((i) => attention.values[i]) };
}

async function ofMatch(model, query, text, signal) {
  const [, side] = (await match(model, [{ kind: "text", text: query }, { kind: "text", text }], signal)).inputs;
  return { tokens: side.tokens, values: side.contributions ?? side.similarities };
}

function row(place, result, text, reason) {
  const score = element("span", { class: "cosine" }, formatNumber(result.relevance_score));
  if (!reason) return element("li", { class: "ranked" }, element("p", { class: "text", dir: "auto" }, text), score);
  const view = new TextView(text, reason.tokens, `Document ranked ${place + 1}`, { hover: () => {}, pin: () => {} });
  views.push({ view, values: reason.values });
  return element("li", { class: "ranked" }, view.node, score);
}

/** Shade the documents, each up to its own largest. */
export function paint() {
  for (const { view, values } of views) view.show(values, view.scale(values), null);
  $("rank-legend").style.backgroundImage = gradient(textColor, views.some(({ values }) => values.some((value) => value < 0)) ? -1 : 0);
}
