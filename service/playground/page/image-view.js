// An image with its heat map: a button for each patch, at its box in the original image.

import { toCss, imageColor } from "./colormap.js";
import { element, formatNumber } from "./dom.js";
import { rovingTabindex } from "./roving-tabindex.js";

export class ImageView {
  /** `on` as in TextView. `size` is `[width, height]` of the original in px, upright; `map` gives a fraction its color. */
  constructor(source, grid, size, label, on, map = imageColor) {
    this.grid = grid;
    this.map = map;
    this.image = element("img", { src: source, alt: "", class: "model-image", width: size[0], height: size[1] });
    this.cells = grid.boxes_px.map((box, i) => {
      const cell = element("button", { class: "cell", type: "button", "aria-label": this.label(i) });
      this.setBox(cell, box, size);
      return cell;
    });
    const region = element("div", { class: "region", "aria-hidden": "true" });
    this.setBox(region, [...grid.boxes_px[0].slice(0, 2), ...grid.boxes_px.at(-1).slice(2)], size);
    this.node = element("div", { class: "image-view", role: "group", "aria-label": label }, this.image, region, ...this.cells);
    this.node.style.setProperty("--aspect-ratio", size[0] / size[1]);
    const toPositions = (callback) => (i) => callback(i < 0 ? null : [i]);
    rovingTabindex(this.node, this.cells, { columns: grid.columns, hover: toPositions(on.hover), pin: toPositions(on.pin) });
  }

  setBox(node, [x0, y0, x1, y1], [width, height]) {
    node.style.left = `${(100 * x0) / width}%`;
    node.style.top = `${(100 * y0) / height}%`;
    node.style.width = `${(100 * (x1 - x0)) / width}%`;
    node.style.height = `${(100 * (y1 - y0)) / height}%`;
  }

  label(i) {
    return `row ${Math.floor(i / this.grid.columns) + 1}, column ${(i % this.grid.columns) + 1}`;
  }

  scale(values) {
    return Math.max(...values.map(Math.abs)) || 1;
  }

  show(values, largest, chosen) {
    this.cells.forEach((cell, i) => {
      cell.style.setProperty("--shade", toCss(this.map(values[i] / largest)));
      cell.dataset.weight = values[i];
      cell.title = formatNumber(values[i]);
      cell.setAttribute("aria-label", `${this.label(i)}: ${formatNumber(values[i])}`);
      cell.setAttribute("aria-pressed", String(Boolean(chosen?.includes(i))));
    });
  }

  name(positions) {
    return `The patch in ${this.label(positions[0])}`;
  }

  rows(values) {
    const boxText = (box) => box.map((edge) => Math.round(edge)).join(", ");
    return {
      head: ["Patch", "Box in px", "Weight"],
      rows: this.grid.boxes_px.map((box, i) => [this.label(i), boxText(box), formatNumber(values[i])]),
    };
  }
}
