// The drawn scenes: to pick, and to find by words.

import { ask, embed, url } from "./api.js";
import { cosine } from "./arrays.js";
import { $, element, figure, option } from "./dom.js";
import { ofFile, ofText } from "./inputs.js";
import { rove } from "./roving-tabindex.js";

const BEST = 6;

let scenes = [];
let coming = null;
let picked = { pick: () => {}, fail: () => {}, count: 0 };
const vectors = new Map();

/** Show the scenes; a click calls `pick(input)`, or `fail(error)` if the image cannot be loaded. */
export async function offer(pick, fail) {
  picked = { pick, fail, count: 0 };
  scenes = await listed();
  if ($("scenes").hasChildNodes()) return; // asked for twice while they were on their way
  const buttons = scenes.map((scene) => element("button", { type: "button", class: "thumb", title: scene.caption, "aria-label": scene.caption }, thumbnail(scene)));
  $("scenes").replaceChildren(...buttons);
  rove($("scenes"), buttons, { point: () => {}, pin: (i) => { if (i >= 0) take(scenes[i]); } });
  $("search").placeholder = scenes[Math.floor(scenes.length / 2)].caption;
  $("other-scene").append(...scenes.map((scene, i) => option(i, scene.caption)));
}

/** What to show an image model when nothing else was picked. */
export const first = async () => input((await listed())[0]);

export const chosen = () => $("other-scene").value && input(scenes[Number($("other-scene").value)]);

/** All of them, asked for once; again after a failure. */
function listed() {
  coming ??= ask("playground/scenes").then((answer) => answer.data);
  coming.catch(() => { coming = null; });
  return coming;
}

/** Fetch it and tell; of two that are picked at once the later counts. */
async function take(scene) {
  const turn = ++picked.count;
  try {
    const found = await input(scene);
    if (turn === picked.count) picked.pick(found);
  } catch (error) {
    picked.fail(error);
  }
}

const thumbnail = (scene) => element("img", { src: scene.url, alt: "", width: 64, height: 64, loading: "lazy" });

/** A scene as an input. */
async function input(scene) {
  const answer = await fetch(url(scene.url));
  if (!answer.ok) throw new Error("the scene could not be loaded");
  const file = await answer.blob();
  return { ...await ofFile(file, `scene-${scene.url.split("/").at(-1)}`, url(scene.url)), caption: scene.caption };
}

/** Show the scenes nearest to `text`, by two models that share a space. */
export async function search(text, textModel, imageModel, signal) {
  const [said, seen] = await Promise.all([embed(textModel, ofText(text), null, signal), vectorsOf(imageModel)]);
  const ranked = scenes.map((scene, i) => ({ scene, near: cosine(said.embedding, seen[i]) })).sort((a, b) => b.near - a.near);
  if (signal.aborted) return;
  $("found").replaceChildren(...ranked.slice(0, BEST).map(({ scene, near }) => element("li", {},
    element("button", { type: "button", class: "hit", onclick: () => take(scene) },
      thumbnail(scene), element("span", { class: "label" }, scene.caption), element("span", { class: "near" }, figure(near))))));
}

/** Their vectors, asked for once. */
function vectorsOf(model) {
  if (!vectors.has(model.id)) {
    const coming = inTurn(model);
    coming.catch(() => vectors.delete(model.id));
    vectors.set(model.id, coming);
  }
  return vectors.get(model.id);
}

async function inTurn(model) {
  const found = [];
  for (const scene of scenes) found.push((await embed(model, await input(scene), null)).embedding);
  return found;
}
