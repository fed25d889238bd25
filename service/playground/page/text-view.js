// A text with its tokens shaded by their weights; special tokens are shown below, because they are not part of the text.

import { tokenSpans, showControlCharacters } from "./codepoints.js";
import { toCss, contrastingInk, textColor } from "./colormap.js";
import { element, formatNumber } from "./dom.js";
import { rovingTabindex } from "./roving-tabindex.js";

export class TextView {
  /** `on.hover(positions)` and `on.pin(positions)` receive the hovered and the pinned tokens: a list, or null. */
  constructor(text, tokens, label, on) {
    this.tokens = tokens;
    const special = tokens.flatMap((token, i) => (token.start === token.end ? [{ text: token.text, tokens: [i], special: true }] : []));
    const inText = tokenSpans(text, tokens);
    this.spans = [...inText.filter((span) => span.tokens.length), ...special];
    for (const span of this.spans) span.node = element("span", { class: "token", role: "button" }, showControlCharacters(span.text));
    const drawn = inText.map((span) => span.node ?? showControlCharacters(span.text));
    this.node = element("div", { class: "text-view", role: "group", "aria-label": label },
      element("p", { class: "text", dir: "auto" }, ...drawn),
      special.length > 0 && element("p", { class: "specials" },
        element("span", { class: "note" }, "Special tokens"), ...special.map((span) => span.node)));
    const toPositions = (callback) => (i) => callback(i < 0 ? null : this.spans[i].tokens);
    rovingTabindex(this.node, this.spans.map((span) => span.node), { hover: toPositions(on.hover), pin: toPositions(on.pin) });
  }

  /** The largest weight of the text's own tokens: what the shades are scaled to. */
  scale(values) {
    const own = this.spans.filter((span) => !span.special).map((span) => Math.abs(this.sum(span, values)));
    return Math.max(...own, 0) || Math.max(...values.map(Math.abs)) || 1;
  }

  /** Shade by `values`, one for each token; `chosen` are the tokens whose attention this is, or null. */
  show(values, largest, chosen) {
    for (const span of this.spans) {
      const weight = this.sum(span, values);
      const color = textColor(weight / largest);
      span.node.style.backgroundColor = toCss(color);
      span.node.style.color = contrastingInk(color);
      span.node.dataset.weight = weight;
      span.node.title = formatNumber(weight);
      span.node.setAttribute("aria-label", `${span.special ? "special token " : ""}${span.text}: ${formatNumber(weight)}`);
      span.node.setAttribute("aria-pressed", String(Boolean(chosen?.includes(span.tokens[0]))));
    }
  }

  name(positions) {
    return `“${this.spans.find((span) => span.tokens.includes(positions[0]))?.text ?? ""}”`;
  }

  /** The same as rows of a table. */
  rows(values) {
    return {
      head: ["Token", "Characters", "Weight"],
      rows: this.tokens.map((token, i) => [token.text, token.start === token.end ? "special" : `${token.start}–${token.end}`, formatNumber(values[i])]),
    };
  }

  sum(span, values) {
    return span.tokens.reduce((sum, i) => sum + values[i], 0);
  }
}
