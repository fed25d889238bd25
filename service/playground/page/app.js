// The page: the selected input and model, the response, and all that shows it.

import { ApiError, embed, hasKey, fetchModels, setKey, url } from "./api.js";
import { dot } from "./arrays.js";
import { toCss, textColor } from "./colormap.js";
import { compare, paint as paintCompared } from "./compare.js";
import { curlCommand } from "./curl.js";
import { $, debounce, option } from "./dom.js";
import { imageInput, textInput, imageFileIn } from "./inputs.js";
import { showNeighbors, remember } from "./history.js";
import { label, showLabelModels } from "./labels.js";
import { paint as paintRanked, rank, showRankModels } from "./rank.js";
import * as scenes from "./scenes.js";
import { AttentionCard } from "./view.js";

const TYPING_DEBOUNCE_MS = 250;
const REMEMBER_AFTER_MS = 1500;
const PREVIEW_VALUES = 8;

let models = [];
let input = textInput($("text").value);
let result = null;
let embedController = new AbortController();
let searchController = new AbortController();
let compareController = new AbortController();
let rankController = new AbortController();
let labelController = new AbortController();

const view = new AttentionCard(showCurlCommand, showError);

const model = () => models.find((each) => each.id === $("model").value);

/** The selected model, or one that accepts the modality, if possible in the same space. */
function modelFor(kind) {
  const now = model();
  const candidates = models.filter((each) => each.modality === kind);
  return now?.modality === kind ? now : candidates.find((each) => each.space === now?.space) ?? candidates[0];
}

async function start() {
  $("busy").hidden = false;
  try {
    const served = await fetchModels();
    models = served.filter((each) => each.tasks.includes("embed"));
    showRankModels(served);
    showLabelModels(served);
  } catch (error) {
    showError(error, start);
    return;
  } finally {
    $("busy").hidden = true;
  }
  $("model").replaceChildren(...models.map((each) => option(each.id, `${each.id} (${each.modality})`)));
  const texts = modelFor("text");
  if (texts) $("model").value = texts.id;
  showImageInputs();
  if (texts || input.kind === "image") embedInput();
  else clearResult();
}

function showImageInputs() {
  const imageModel = modelFor("image");
  $("drop").hidden = $("scenes-box").hidden = !imageModel;
  const pair = textImagePair();
  $("search").disabled = !pair;
  $("search-note").textContent = pair ? "" : "This server has no text model and image model with the same embedding space.";
  if (imageModel && !$("scenes").hasChildNodes()) scenes.showScenes(selectInput, (error) => showError(error, () => {})).catch((error) => showError(error, showImageInputs));
}

/** A text model and an image model in one space, the selected model among them if possible. */
function textImagePair() {
  const [image] = [model(), ...models].filter((each) => each?.modality === "image"
    && models.some((other) => other.modality === "text" && other.space === each.space));
  return image && { image, text: models.find((each) => each.modality === "text" && each.space === image.space) };
}

function selectInput(picked, target = modelFor(picked.kind)) {
  input = picked;
  if (target) $("model").value = target.id;
  if (picked.kind === "text") $("text").value = picked.text;
  embedInput();
}

/** Request the embedding and its attention; an earlier request in flight is aborted. */
async function embedInput() {
  embedController.abort();
  embedController = new AbortController();
  const { signal } = embedController;
  const target = modelFor(input.kind);
  rememberLater(null);
  $("compared").hidden = true; // it was of another input
  if (!target || (input.kind === "text" && input.text === "")) {
    clearResult();
    return;
  }
  $("model").value = target.id;
  showModelFacts(target);
  $("busy").hidden = false;
  try {
    const selection = view.initialSelection;
    const response = await embed(target, input, target.attention && { reduce: selection.reduce, query: "pool" }, signal);
    if (signal.aborted) return;
    result = { model: target, input, vector: response.embedding, truncated: response.truncated };
    clearError();
    $("empty").hidden = true;
    showEmbedding();
    await view.show(target, input, response, selection);
    announceToScreenReader(response);
    rememberLater(result);
  } catch (error) {
    if (error.name !== "AbortError") {
      clearResult();
      showError(error, embedInput);
    }
  } finally {
    if (!signal.aborted) $("busy").hidden = true;
  }
}

function clearResult() {
  result = null;
  view.clear();
  clearError();
  $("busy").hidden = true;
  $("empty").hidden = false;
  $("embedding-facts").textContent = "No embedding yet.";
  $("components").textContent = $("curl").textContent = "";
  $("embedding-strip").hidden = $("copy-vector").hidden = true;
}

/** Inputs viewed for a moment are remembered, not each typed letter. */
const rememberLater = debounce((viewed) => {
  if (viewed && viewed === result) remember(viewed.model, viewed.input, viewed.vector);
}, REMEMBER_AFTER_MS);

function showModelFacts(target) {
  const size = target.modality === "text" ? `up to ${target.max_tokens} tokens` : `${target.image.columns_px} × ${target.image.rows_px} px`;
  const heads = target.attention && `${target.attention.layers} layers, ${[target.attention.heads].flat().join("/")} heads`;
  $("model-facts").textContent = [target.architecture, size, heads].filter(Boolean).join(" · ");
}

/** The embedding, its neighbors and the request. */
function showEmbedding() {
  const { model: target, input: shown, vector } = result;
  const length = Math.sqrt(dot(vector, vector));
  $("embedding-facts").textContent = `${vector.length} numbers, of length ${length.toFixed(3)}. The first ${Math.min(PREVIEW_VALUES, vector.length)}:`;
  $("components").textContent = vector.slice(0, PREVIEW_VALUES).map((value) => value.toFixed(4).replace("-", "−")).join("  ");
  $("embedding-strip").hidden = $("copy-vector").hidden = false;
  drawEmbeddingStrip(vector);
  showNeighbors(target, shown, vector, (which, what) => selectInput(what, which));
  showCurlCommand();
}

function drawEmbeddingStrip(vector) {
  const canvas = $("embedding-strip");
  canvas.width = vector.length;
  const context = canvas.getContext("2d");
  const largest = Math.max(...vector.map(Math.abs)) || 1;
  vector.forEach((value, i) => {
    context.fillStyle = toCss(textColor(value / largest));
    context.fillRect(i, 0, 1, 1);
  });
}

function showCurlCommand() {
  if (!result) return;
  const selection = result.model.attention ? view.selection : null;
  const { query } = view;
  $("curl").textContent = curlCommand(url("v1/embeddings"), {
    model: result.model, input: result.input, view: selection, query, withKey: hasKey(),
  });
}

function announceToScreenReader({ attention, embedding }) {
  const parts = attention?.tokens ? `${attention.tokens.length} tokens` : attention?.grid ? `${attention.values.length} patches` : "";
  $("status").textContent = `${result.model.id}: ${[parts, `${embedding.length} numbers`].filter(Boolean).join(", ")}`;
}

/** Show an error, and a way to retry. */
function showError(error, again) {
  const wait = error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
  $("error-text").textContent = `${sentence(error.message)}${wait}`;
  $("error").hidden = false;
  $("empty").hidden = true;
  $("retry").hidden = !(error instanceof ApiError);
  $("retry").onclick = () => { clearError(); again(); };
  if (error.status === 401) {
    $("error-text").textContent += " Enter it above, under “Key”.";
    $("key-box").open = true;
  }
  if (!(error instanceof ApiError || error instanceof DOMException || error.constructor === Error)) console.error(error);
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function clearError() {
  $("error").hidden = true;
}

async function loadFile(file) {
  try {
    selectInput(await imageInput(file, file.name));
  } catch (error) {
    showError(error, () => {});
  }
}

async function copy(button, text) {
  const before = button.textContent;
  await navigator.clipboard.writeText(text).then(
    () => { button.textContent = "Copied"; },
    () => { button.textContent = "Copying is not available"; },
  );
  setTimeout(() => { button.textContent = before; }, 1500);
}

const embedDebounced = debounce(embedInput, TYPING_DEBOUNCE_MS);
$("text").oninput = () => { input = textInput($("text").value); embedDebounced(); };
$("model").onchange = async () => {
  const target = model();
  try {
    if (target.modality !== input.kind) input = target.modality === "text" ? textInput($("text").value) : await scenes.firstScene();
  } catch (error) {
    return showError(error, () => {});
  }
  embedInput();
};

$("choose").onclick = () => $("file").click();
$("file").onchange = () => { if ($("file").files[0]) loadFile($("file").files[0]); $("file").value = ""; };
addEventListener("paste", (event) => {
  const file = imageFileIn(event.clipboardData);
  if (file) { event.preventDefault(); loadFile(file); }
});
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
addEventListener("dragover", () => $("drop").classList.add("over"));
for (const name of ["dragleave", "drop"]) addEventListener(name, () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => { if (event.dataTransfer.files[0]) loadFile(event.dataTransfer.files[0]); });

$("search").oninput = debounce(async () => {
  searchController.abort();
  searchController = new AbortController();
  const text = $("search").value;
  const pair = textImagePair();
  if (!text || !pair) {
    $("search-results").replaceChildren();
    $("search-note").textContent = "";
    return;
  }
  $("search-note").textContent = "Searching…";
  try {
    await scenes.search(text, pair.text, pair.image, searchController.signal);
    $("search-note").textContent = "Nearest first by cosine similarity:";
  } catch (error) {
    if (error.name !== "AbortError") $("search-note").textContent = sentence(error.message);
  }
}, TYPING_DEBOUNCE_MS);

$("compare").onclick = async () => {
  compareController.abort();
  const { signal } = (compareController = new AbortController());
  $("compared").hidden = true;
  const note = (text) => { $("compare-note").textContent = text; };
  if (!result) return note("Provide an input first.");
  const other = await scenes.selectedScene() || ($("other").value && textInput($("other").value));
  if (!other) return note("Type another text, or choose a scene.");
  note("Comparing…");
  try {
    await compare(result.model, [result.input, other], signal);
    note("");
  } catch (error) {
    if (error.name !== "AbortError") note(sentence(error.message));
  }
};

$("rank").onclick = async () => {
  rankController.abort();
  rankController = new AbortController();
  await runNoted("rank-note", "Ranking…", () => rank(rankController.signal));
};

$("label").onclick = async () => {
  labelController.abort();
  labelController = new AbortController();
  await runNoted("label-note", "Labeling…", () => label(labelController.signal));
};

/** Run what a button starts; the note says that it runs, and what went wrong. */
async function runNoted(note, running, act) {
  $(note).textContent = running;
  try {
    await act();
    $(note).textContent = "";
  } catch (error) {
    if (error.name !== "AbortError") $(note).textContent = sentence(error.message);
  }
}

$("key-form").onsubmit = (event) => {
  event.preventDefault();
  setKey($("key").value);
  $("key-box").open = false;
  clearError();
  start();
};
$("copy").onclick = () => copy($("copy"), $("curl").textContent);
$("copy-vector").onclick = () => copy($("copy-vector"), JSON.stringify(result.vector));

const THEMES = ["system", "light", "dark"];
function setTheme(name) {
  document.documentElement.dataset.theme = name === "system" ? "" : name;
  $("theme").textContent = `Theme: ${name}`;
  view.paint();
  paintCompared();
  paintRanked();
  if (result) drawEmbeddingStrip(result.vector);
}
$("theme").onclick = () => {
  const now = document.documentElement.dataset.theme || "system";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme || "system"));

start();
