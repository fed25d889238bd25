// A text with its tokens shaded by their weights; special tokens stand apart, for they are no part of the text.

import { pieces, visible } from "./codepoints.js";
import { css, ink, shade } from "./colormap.js";
import { element, figure } from "./dom.js";
import { rove } from "./roving-tabindex.js";

export class Passage {
  /** `on.point(positions)` and `on.pin(positions)` receive the hovered and the pinned tokens: a list, or null. */
  constructor(text, tokens, label, on) {
    this.tokens = tokens;
    const special = tokens.flatMap((token, i) => (token.start === token.end ? [{ text: token.text, tokens: [i], special: true }] : []));
    const inText = pieces(text, tokens);
    this.pieces = [...inText.filter((piece) => piece.tokens.length), ...special];
    for (const piece of this.pieces) piece.node = element("span", { class: "token", role: "button" }, visible(piece.text));
    const drawn = inText.map((piece) => piece.node ?? visible(piece.text));
    this.node = element("div", { class: "passage", role: "group", "aria-label": label },
      element("p", { class: "running", dir: "auto" }, ...drawn),
      special.length > 0 && element("p", { class: "specials" },
        element("span", { class: "note" }, "Special tokens"), ...special.map((piece) => piece.node)));
    const toPositions = (callback) => (i) => callback(i < 0 ? null : this.pieces[i].tokens);
    rove(this.node, this.pieces.map((piece) => piece.node), { point: toPositions(on.point), pin: toPositions(on.pin) });
  }

  /** The largest weight of the text's own tokens: what the shades are scaled to. */
  scale(values) {
    const own = this.pieces.filter((piece) => !piece.special).map((piece) => Math.abs(this.sum(piece, values)));
    return Math.max(...own, 0) || Math.max(...values.map(Math.abs)) || 1;
  }

  /** Shade by `values`, one for each token; `chosen` are the tokens whose attention this is, or null. */
  show(values, largest, chosen) {
    for (const piece of this.pieces) {
      const weight = this.sum(piece, values);
      const color = shade(weight / largest);
      piece.node.style.backgroundColor = css(color);
      piece.node.style.color = ink(color);
      piece.node.dataset.weight = weight;
      piece.node.title = figure(weight);
      piece.node.setAttribute("aria-label", `${piece.special ? "special token " : ""}${piece.text}: ${figure(weight)}`);
      piece.node.setAttribute("aria-pressed", String(Boolean(chosen?.includes(piece.tokens[0]))));
    }
  }

  name(positions) {
    return `“${this.pieces.find((piece) => piece.tokens.includes(positions[0]))?.text ?? ""}”`;
  }

  /** Rows of a table that says the same. */
  rows(values) {
    return {
      head: ["Token", "Characters", "Weight"],
      rows: this.tokens.map((token, i) => [token.text, token.start === token.end ? "special" : `${token.start}–${token.end}`, figure(values[i])]),
    };
  }

  sum(piece, values) {
    return piece.tokens.reduce((sum, i) => sum + values[i], 0);
  }
}
