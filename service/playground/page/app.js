// The page: what is shown to which model, the answer, and what follows from it.

import { ApiError, embed, hasKey, models, setKey, url } from "./api.js";
import { dot } from "./arrays.js";
import { css, shade } from "./colormap.js";
import { compare, paint as paintCompared } from "./compare.js";
import { command } from "./curl.js";
import { $, debounced, option } from "./dom.js";
import { ofFile, ofText, pictureIn } from "./inputs.js";
import { neighbors, remember } from "./history.js";
import * as scenes from "./scenes.js";
import { View } from "./view.js";

const TYPING_MS = 250;
const REMEMBERED_MS = 1500;
const FIRST_NUMBERS = 8;

let served = [];
let input = ofText($("text").value);
let answered = null;
let asking = new AbortController();
let searching = new AbortController();
let comparing = new AbortController();

const view = new View(describe, fail);

const model = () => served.find((each) => each.id === $("model").value);

/** The chosen model, or the one that takes such an input: of its space, if there is one. */
function takes(kind) {
  const now = model();
  const able = served.filter((each) => each.modality === kind);
  return now?.modality === kind ? now : able.find((each) => each.space === now?.space) ?? able[0];
}

async function start() {
  $("busy").hidden = false;
  try {
    served = await models();
  } catch (error) {
    fail(error, start);
    return;
  } finally {
    $("busy").hidden = true;
  }
  $("model").replaceChildren(...served.map((each) => option(each.id, `${each.id} (${each.modality})`)));
  const texts = takes("text");
  if (texts) $("model").value = texts.id;
  offerPictures();
  if (texts || input.kind === "image") look();
  else nothing();
}

function offerPictures() {
  const pictures = takes("image");
  $("drop").hidden = $("scenes-box").hidden = !pictures;
  const pair = shared();
  $("search").disabled = !pair;
  $("search-note").textContent = pair ? "" : "This server has no text model and image model with the same embedding space.";
  if (pictures && !$("scenes").hasChildNodes()) scenes.offer(pick, (error) => fail(error, () => {})).catch((error) => fail(error, offerPictures));
}

/** A text model and an image model in one space, the chosen one if it is of one. */
function shared() {
  const [image] = [model(), ...served].filter((each) => each?.modality === "image"
    && served.some((other) => other.modality === "text" && other.space === each.space));
  return image && { image, text: served.find((each) => each.modality === "text" && each.space === image.space) };
}

function pick(picked, of = takes(picked.kind)) {
  input = picked;
  if (of) $("model").value = of.id;
  if (picked.kind === "text") $("text").value = picked.text;
  look();
}

/** Ask for the embedding and its attention; what was asked before and is not answered is given up. */
async function look() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const of = takes(input.kind);
  settle.later(null);
  if (!of || (input.kind === "text" && input.text === "")) {
    nothing();
    return;
  }
  $("model").value = of.id;
  facts(of);
  $("busy").hidden = false;
  try {
    const first = view.first;
    const found = await embed(of, input, of.attention && { reduce: first.reduce, query: "pool" }, signal);
    if (signal.aborted) return;
    answered = { model: of, input, vector: found.embedding, truncated: found.truncated };
    forgive();
    $("empty").hidden = true;
    tell();
    await view.show(of, input, found, first);
    announce(found);
    settle.later(answered);
  } catch (error) {
    if (error.name !== "AbortError") {
      nothing();
      fail(error, look);
    }
  } finally {
    if (!signal.aborted) $("busy").hidden = true;
  }
}

function nothing() {
  answered = null;
  view.clear();
  forgive();
  $("busy").hidden = true;
  $("empty").hidden = false;
  $("embedding-facts").textContent = "No embedding yet.";
  $("numbers").textContent = $("curl").textContent = "";
  $("strip").hidden = $("copy-vector").hidden = true;
}

/** Remembered is what was looked at for a moment, not each letter on the way. */
const settle = {
  later: debounced((what) => {
    if (what && what === answered) remember(what.model, what.input, what.vector);
  }, REMEMBERED_MS),
};

function facts(of) {
  const size = of.modality === "text" ? `up to ${of.max_tokens} tokens` : `${of.image.columns_px} × ${of.image.rows_px} px`;
  const heads = of.attention && `${of.attention.layers} layers, ${[of.attention.heads].flat().join("/")} heads`;
  $("model-facts").textContent = [of.architecture, size, heads].filter(Boolean).join(" · ");
}

/** The embedding, its neighbors and the request. */
function tell() {
  const { model: of, input: shown, vector } = answered;
  const length = Math.sqrt(dot(vector, vector));
  $("embedding-facts").textContent = `${vector.length} numbers, of length ${length.toFixed(3)}. The first ${Math.min(FIRST_NUMBERS, vector.length)}:`;
  $("numbers").textContent = vector.slice(0, FIRST_NUMBERS).map((value) => value.toFixed(4).replace("-", "−")).join("  ");
  $("strip").hidden = $("copy-vector").hidden = false;
  strip(vector);
  neighbors(of, shown, vector, (which, what) => pick(what, which));
  describe();
}

function strip(vector) {
  const canvas = $("strip");
  canvas.width = vector.length;
  const context = canvas.getContext("2d");
  const largest = Math.max(...vector.map(Math.abs)) || 1;
  vector.forEach((value, i) => {
    context.fillStyle = css(shade(value / largest));
    context.fillRect(i, 0, 1, 1);
  });
}

function describe() {
  if (!answered) return;
  const seen = answered.model.attention ? view.view : null;
  const { query } = view;
  $("curl").textContent = command(url("v1/embeddings"), {
    model: answered.model, input: answered.input, view: seen, query, keyed: hasKey(),
  });
}

function announce({ attention, embedding }) {
  const parts = attention?.tokens ? `${attention.tokens.length} tokens` : attention?.grid ? `${attention.values.length} patches` : "";
  $("status").textContent = `${answered.model.id}: ${[parts, `${embedding.length} numbers`].filter(Boolean).join(", ")}`;
}

/** An error in words, with a way on. */
function fail(error, again) {
  const wait = error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
  $("error-text").textContent = `${sentence(error.message)}${wait}`;
  $("error").hidden = false;
  $("empty").hidden = true;
  $("retry").hidden = !(error instanceof ApiError);
  $("retry").onclick = () => { forgive(); again(); };
  if (error.status === 401) {
    $("error-text").textContent += " Enter it above, under “Key”.";
    $("key-box").open = true;
  }
  if (!(error instanceof ApiError || error instanceof DOMException || error.constructor === Error)) console.error(error);
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function forgive() {
  $("error").hidden = true;
}

async function take(file) {
  try {
    pick(await ofFile(file, file.name));
  } catch (error) {
    fail(error, () => {});
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

const typed = debounced(look, TYPING_MS);
$("text").oninput = () => { input = ofText($("text").value); typed(); };
$("model").onchange = async () => {
  const of = model();
  try {
    if (of.modality !== input.kind) input = of.modality === "text" ? ofText($("text").value) : await scenes.first();
  } catch (error) {
    return fail(error, () => {});
  }
  look();
};

$("choose").onclick = () => $("file").click();
$("file").onchange = () => { if ($("file").files[0]) take($("file").files[0]); $("file").value = ""; };
addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData);
  if (file) { event.preventDefault(); take(file); }
});
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
addEventListener("dragover", () => $("drop").classList.add("over"));
for (const name of ["dragleave", "drop"]) addEventListener(name, () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => { if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });

$("search").oninput = debounced(async () => {
  searching.abort();
  searching = new AbortController();
  const text = $("search").value;
  const pair = shared();
  if (!text || !pair) {
    $("found").replaceChildren();
    $("search-note").textContent = "";
    return;
  }
  $("search-note").textContent = "Searching…";
  try {
    await scenes.search(text, pair.text, pair.image, searching.signal);
    $("search-note").textContent = "Nearest first by cosine similarity:";
  } catch (error) {
    if (error.name !== "AbortError") $("search-note").textContent = sentence(error.message);
  }
}, TYPING_MS);

$("compare").onclick = async () => {
  comparing.abort();
  const { signal } = (comparing = new AbortController());
  $("compared").hidden = true;
  const note = (text) => { $("compare-note").textContent = text; };
  if (!answered) return note("Provide an input first.");
  const other = await scenes.chosen() || ($("other").value && ofText($("other").value));
  if (!other) return note("Type another text, or choose a scene.");
  note("Comparing…");
  try {
    await compare(answered.model, [answered.input, other], signal);
    note("");
  } catch (error) {
    if (error.name !== "AbortError") note(sentence(error.message));
  }
};

$("key-form").onsubmit = (event) => {
  event.preventDefault();
  setKey($("key").value);
  $("key-box").open = false;
  forgive();
  start();
};
$("copy").onclick = () => copy($("copy"), $("curl").textContent);
$("copy-vector").onclick = () => copy($("copy-vector"), JSON.stringify(answered.vector));

const THEMES = ["system", "light", "dark"];
function theme(name) {
  document.documentElement.dataset.theme = name === "system" ? "" : name;
  $("theme").textContent = `Theme: ${name}`;
  view.paint();
  paintCompared();
  if (answered) strip(answered.vector);
}
$("theme").onclick = () => {
  const now = document.documentElement.dataset.theme || "system";
  theme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(document.documentElement.dataset.theme || "system"));

start();
