// The drawn scenes: to pick, and to find by words.

import { ask, embed, url } from "./api.js";
import { cosine } from "./arrays.js";
import { $, element, figure, option } from "./dom.js";
import { ofFile, ofText } from "./inputs.js";
import { rove } from "./roving.js";

const BEST = 6;

let scenes = [];
const vectors = new Map();

/** Put them up; `pick(input)` is told which is chosen. */
export async function offer(pick) {
  scenes = (await ask("playground/scenes")).data;
  const buttons = scenes.map((scene) => element("button", { type: "button", class: "thumb", title: scene.caption, "aria-label": scene.caption }, thumbnail(scene)));
  $("scenes").replaceChildren(...buttons);
  rove($("scenes"), buttons, { point: () => {}, pin: async (i) => { if (i >= 0) pick(await input(scenes[i])); } });
  $("search").placeholder = scenes[Math.floor(scenes.length / 2)].caption;
  $("other-scene").append(...scenes.map((scene, i) => option(i, scene.caption)));
}

/** What to show an image model when nothing else was picked. */
export const first = () => input(scenes[0]);

export const chosen = () => $("other-scene").value && input(scenes[Number($("other-scene").value)]);

const thumbnail = (scene) => element("img", { src: scene.url, alt: "", width: 64, height: 64, loading: "lazy" });

/** A scene as an input. */
async function input(scene) {
  const file = await (await fetch(url(scene.url))).blob();
  return { ...await ofFile(file, `scene-${scene.url.split("/").at(-1)}`, url(scene.url)), caption: scene.caption };
}

/** Show the scenes nearest to `text`, by two models that share a space. */
export async function search(text, textModel, imageModel, pick, signal) {
  const [said, seen] = await Promise.all([embed(textModel, ofText(text), null, signal), vectorsOf(imageModel)]);
  const ranked = scenes.map((scene, i) => ({ scene, near: cosine(said.embedding, seen[i]) })).sort((a, b) => b.near - a.near);
  if (signal.aborted) return;
  $("found").replaceChildren(...ranked.slice(0, BEST).map(({ scene, near }) => element("li", {},
    element("button", { type: "button", class: "hit", onclick: async () => pick(await input(scene)) },
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
