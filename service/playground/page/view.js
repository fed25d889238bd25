// The card that shows a text or an image with its attention, and responds to pointer and keyboard.

import { Attention, headsOf } from "./attention.js";
import { gradient, imageColor, textColor } from "./colormap.js";
import { $, element, formatNumber, option } from "./dom.js";
import { TextView } from "./text-view.js";
import { ImageView } from "./image-view.js";

export class AttentionCard {
  /** `changed()` is called when what is shown changes, `failed(error)` when it cannot be. */
  constructor(changed, failed) {
    this.changed = changed;
    this.failed = failed;
    this.shown = null; // {model, input, drawing, weights, abortController, truncated}
    this.pinned = this.hovered = null; // positions that are clicked, and hovered or focused
    this.painted = null; // {current, pooled, positions}
    for (const id of ["reduce", "layer", "head"]) $(id).onchange = () => this.onControlChange();
    $("opacity").oninput = () => $("figure").style.setProperty("--opacity", `${$("opacity").value}%`);
    $("table-box").ontoggle = () => this.fillTable();
    $("figure").style.setProperty("--opacity", "60%");
  }

  /** The attention selected by the controls. */
  get selection() {
    const head = $("head").value;
    return { reduce: $("reduce").value, layer: Number($("layer").value), head: head === "mean" ? head : Number(head) };
  }

  /** The query whose attention is shown: a position, or "pool". */
  get query() {
    return this.painted?.positions?.[0] ?? "pool";
  }

  /** The attention to request with the embedding; raw weights are requested separately. */
  get initialSelection() {
    return { ...this.selection, reduce: this.selection.reduce === "raw" ? "rollout" : this.selection.reduce };
  }

  /** Fill the lists of layers and heads. */
  fillLayers(model) {
    const { layers } = model.attention;
    fillSelect($("layer"), Array.from({ length: layers }, (_, i) => [i, String(i)]), String(layers - 1));
    this.fillHeads(model);
  }

  fillHeads(model) {
    const heads = headsOf(model, Number($("layer").value));
    fillSelect($("head"), [["mean", "mean over heads"], ...Array.from({ length: heads }, (_, i) => [i, String(i)])], "mean");
  }

  /** Show nothing. */
  clear() {
    this.shown?.abortController.abort();
    this.shown = this.painted = this.pinned = this.hovered = null;
    $("figure").replaceChildren();
    $("controls").hidden = $("below").hidden = true;
  }

  show(model, input, result, selection) {
    this.clear();
    const { attention } = result;
    if (!attention) {
      $("figure").replaceChildren(element("p", { class: "note" }, "This model exports no attention; its embedding is below."));
      return;
    }
    const on = { hover: (positions) => this.hover(positions), pin: (positions) => this.pin(positions) };
    const drawing = attention.tokens
      ? new TextView(input.text, attention.tokens, "The text’s tokens, shaded by weight", on)
      : new ImageView(input.url, attention.grid, input.size, "The image’s patches, shaded by weight", on);
    const weights = new Attention(model, input);
    weights.positions = (attention.tokens ?? attention.grid.boxes_px).length;
    weights.store(selection, { ...attention, values: Float64Array.from(attention.values) });
    this.shown = { model, input, drawing, weights, abortController: new AbortController(), truncated: result.truncated };
    if (this.model !== model) this.fillLayers((this.model = model));
    $("figure").replaceChildren(drawing.node);
    $("controls").hidden = $("below").hidden = false;
    $("attention").classList.toggle("is-image", !attention.tokens);
    this.showOriginal(attention.tokens ? null : input);
    return this.onControlChange();
  }

  /** Show the original image next to its heat map. */
  showOriginal(input) {
    $("original").hidden = !input;
    $("original").replaceChildren(...(input ? [
      element("img", { src: input.url, alt: input.caption ?? "", width: input.size[0], height: input.size[1] }),
      element("figcaption", { class: "note", dir: "auto" }, input.caption ?? input.name),
    ] : []));
  }

  onControlChange() {
    if (!this.shown) return;
    $("attention").classList.toggle("raw-weights", this.selection.reduce === "raw");
    if (this.layerOfHeads !== this.selection.layer) {
      this.fillHeads(this.shown.model);
      this.layerOfHeads = this.selection.layer;
    }
    return this.refresh();
  }

  hover(positions) {
    if (samePosition(positions, this.hovered)) return;
    this.hovered = positions;
    this.refresh();
  }

  /** Pin what is clicked; a second click releases it. */
  pin(positions) {
    this.pinned = samePosition(positions, this.pinned) ? null : positions;
    if (!positions) this.hovered = null;
    this.refresh();
  }

  /** Request what is missing, then paint; the latest call wins. */
  async refresh() {
    const { shown, selection } = this;
    if (!shown) return;
    const requestId = (this.requestId = (this.requestId ?? 0) + 1);
    const positions = this.hovered ?? this.pinned;
    const { signal } = shown.abortController;
    try {
      const pooled = await shown.weights.pooled(selection, signal);
      const current = positions ? await shown.weights.ofPosition(selection, positions[0], signal) : pooled;
      if (requestId !== this.requestId || shown !== this.shown) return;
      this.paint(current, pooled, positions);
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error, () => this.refresh());
    }
  }

  /** Shade again after a change of the theme or the weights. */
  paint(current = this.painted?.current, pooled = this.painted?.pooled, positions = this.painted?.positions) {
    if (!this.shown || !current) return;
    this.painted = { current, pooled, positions };
    const { drawing } = this.shown;
    const largest = drawing.scale(current.values);
    drawing.show(current.values, largest, this.pinned);
    $("legend").style.backgroundImage = gradient(drawing instanceof ImageView ? imageColor : textColor);
    const more = current.values.some((value) => value > largest * 1.0001);
    $("max-weight").textContent = `${formatNumber(largest)}${more ? " and more" : ""}`;
    $("prefix-weights").hidden = current.prefix.length === 0;
    $("prefix-weights").textContent = `Prefix positions: ${[...current.prefix].map((value, i) => `${i === 0 ? "CLS" : `register ${i}`} ${formatNumber(value)}`).join(", ")}`;
    $("readout").textContent = this.sentence(pooled, positions);
    this.fillTable();
    this.changed();
  }

  sentence(pooled, positions) {
    const { drawing, truncated } = this.shown;
    const cut = truncated ? " The text exceeds the model’s limit: the rest is left out." : "";
    const where = this.selection.reduce === "raw" ? "for the pooled output in this layer" : "in the embedding";
    if (!positions) return `Weight of each part ${where}. Hover over one to see what it attends to.${cut}`;
    const own = positions.reduce((sum, i) => sum + pooled.values[i], 0);
    const held = samePosition(positions, this.pinned) ? " Held: press Escape or click again to release." : "";
    return `${drawing.name(positions)} counts ${formatNumber(own)} ${where}; shaded is what it attends to.${held}`;
  }

  fillTable() {
    if (!$("table-box").open || !this.painted || !this.shown) return;
    const { head, rows } = this.shown.drawing.rows(this.painted.current.values);
    $("table").replaceChildren(element("table", {},
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", { dir: "auto" }, cell)))))));
  }
}

const samePosition = (a, b) => a?.[0] === b?.[0];

/** Fill a select; keep its value if it is still an option. */
function fillSelect(select, entries, otherwise) {
  const before = select.value;
  select.replaceChildren(...entries.map(([value, text]) => option(value, text)));
  select.value = entries.some(([value]) => String(value) === before) ? before : otherwise;
}
