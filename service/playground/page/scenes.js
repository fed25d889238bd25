// Example scenes: selection, and search by text.

import { request, embed, url } from "./api.js";
import { cosine } from "./arrays.js";
import { $, element, formatNumber, option } from "./dom.js";
import { imageInput, textInput } from "./inputs.js";
import { rovingTabindex } from "./roving-tabindex.js";

const MAX_RESULTS = 6;

let scenes = [];
let pending = null;
let selection = { pick: () => {}, fail: () => {}, count: 0 };
const vectors = new Map();

/** Show the scenes; a click calls `pick(input)`, or `fail(error)` if the image cannot be loaded. */
export async function showScenes(pick, fail) {
  selection = { pick, fail, count: 0 };
  scenes = await fetchScenes();
  if ($("scenes").hasChildNodes()) return; // requested twice while in flight
  const buttons = scenes.map((scene) => element("button", { type: "button", class: "thumb", title: scene.caption, "aria-label": scene.caption }, thumbnail(scene)));
  $("scenes").replaceChildren(...buttons);
  rovingTabindex($("scenes"), buttons, { hover: () => {}, pin: (i) => { if (i >= 0) selectScene(scenes[i]); } });
  $("search").placeholder = scenes[Math.floor(scenes.length / 2)].caption;
  $("other-scene").append(...scenes.map((scene, i) => option(i, scene.caption)));
}

/** The first scene, shown to an image model if no image was selected. */
export const firstScene = async () => toImageInput((await fetchScenes())[0]);

export const selectedScene = () => $("other-scene").value && toImageInput(scenes[Number($("other-scene").value)]);

/** Fetch the list once; again after a failure. */
function fetchScenes() {
  pending ??= request("playground/scenes").then((response) => response.data);
  pending.catch(() => { pending = null; });
  return pending;
}

/** Fetch a scene and select it; of two in flight the later wins. */
async function selectScene(scene) {
  const requestId = ++selection.count;
  try {
    const input = await toImageInput(scene);
    if (requestId === selection.count) selection.pick(input);
  } catch (error) {
    selection.fail(error);
  }
}

const thumbnail = (scene) => element("img", { src: scene.url, alt: "", width: 64, height: 64, loading: "lazy" });

/** A scene as an input. */
async function toImageInput(scene) {
  const response = await fetch(url(scene.url));
  if (!response.ok) throw new Error("the scene could not be loaded");
  const file = await response.blob();
  return { ...await imageInput(file, `scene-${scene.url.split("/").at(-1)}`, url(scene.url)), caption: scene.caption };
}

/** Show the scenes nearest to `text`, by two models that share a space. */
export async function search(text, textModel, imageModel, signal) {
  const [query, vectorsOfScenes] = await Promise.all([embed(textModel, textInput(text), null, signal), sceneVectors(imageModel)]);
  const ranked = scenes.map((scene, i) => ({ scene, similarity: cosine(query.embedding, vectorsOfScenes[i]) })).sort((a, b) => b.similarity - a.similarity);
  if (signal.aborted) return;
  $("search-results").replaceChildren(...ranked.slice(0, MAX_RESULTS).map(({ scene, similarity }) => element("li", {},
    element("button", { type: "button", class: "result", onclick: () => selectScene(scene) },
      thumbnail(scene), element("span", { class: "label" }, scene.caption), element("span", { class: "cosine" }, formatNumber(similarity))))));
}

/** The vectors of the scenes, requested once. */
function sceneVectors(model) {
  if (!vectors.has(model.id)) {
    const pending = embedSequentially(model);
    pending.catch(() => vectors.delete(model.id));
    vectors.set(model.id, pending);
  }
  return vectors.get(model.id);
}

async function embedSequentially(model) {
  const embeddings = [];
  for (const scene of scenes) embeddings.push((await embed(model, await toImageInput(scene), null)).embedding);
  return embeddings;
}
