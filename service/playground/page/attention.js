// The weights of one input: of the pooled embedding, or of one of its positions; each is requested once.
//
// Letters: n positions, m of them without the prefix (all of a text, the patches of an image), p = n - m before them.

import { embed } from "./api.js";
import { decodeFloat16, mean } from "./arrays.js";

/** A larger matrix than this is not fetched whole, but row by row. */
const MAX_MATRIX_VALUES = 2_000_000;

export const headsOf = (model, layer) =>
  Array.isArray(model.attention.heads) ? model.attention.heads[layer] : model.attention.heads;

/** Return the request's `attention` for a selection `{reduce, layer, head}` and a query.
 *
 * The query is "pool", "all", or a position counted after the prefix.
 */
export function attentionOptions(selection, query, prefix = 0) {
  if (selection.reduce !== "raw") return { reduce: selection.reduce, query };
  const heads = selection.head === "mean" ? "all" : [selection.head];
  return { reduce: "raw", query: typeof query === "number" ? query + prefix : query, layers: [selection.layer], heads };
}

export class Attention {
  constructor(model, input) {
    this.model = model;
    this.input = input;
    this.prefix = model.grid?.prefix ?? 0;
    this.cache = new Map();
  }

  /** Store the attention that came with the embedding, so that it is not requested again. */
  store(selection, attention) {
    this.cache.set(cacheKey(selection, "pool"), Promise.resolve(attention));
  }

  /** `{prefix [p], values [m]}`: the weight of each position in the embedding. */
  async pooled(selection, signal) {
    const response = await this.fetch(selection, "pool", signal);
    return this.split(selection, selectRow(response, selection, 0, 1));
  }

  /** The same for one position: what it attends to. */
  async ofPosition(selection, position, signal) {
    const raw = selection.reduce === "raw";
    const m = this.positions;
    const n = raw ? m + this.prefix : m;
    const size = n * n * (raw ? headsOf(this.model, selection.layer) : 1);
    if (size > MAX_MATRIX_VALUES) {
      const response = await this.fetch(selection, raw ? position + this.prefix : position, signal);
      return this.split(selection, selectRow(response, selection, 0, 1));
    }
    const response = await this.fetch(selection, "all", signal);
    return this.split(selection, selectRow(response, selection, raw ? position + this.prefix : position, n));
  }

  split(selection, values) {
    const p = selection.reduce === "raw" ? this.prefix : 0;
    return { prefix: values.slice(0, p), values: values.slice(p) };
  }

  fetch(selection, query, signal) {
    const key = cacheKey(selection, query);
    if (!this.cache.has(key)) {
      const options = { ...attentionOptions({ ...selection, head: "mean" }, query), encoding: "base64" };
      const pending = embed(this.model, this.input, options, signal).then(({ attention }) => ({
        ...attention,
        values: decodeFloat16(attention.values),
      }));
      pending.catch(() => this.cache.delete(key));
      this.cache.set(key, pending);
    }
    return this.cache.get(key);
  }
}

const cacheKey = (selection, query) => `${selection.reduce}/${selection.reduce === "raw" ? selection.layer : ""}/${query}`;

/** Return one row of the `[n, n]` weights, or, from `[1, h, n, n]`, of the chosen head or the mean over heads. */
function selectRow({ shape, values }, selection, row, count) {
  const n = shape.at(-1);
  if (selection.reduce !== "raw") return values.slice(row * n, (row + 1) * n);
  const rowOf = (head) => values.slice((head * count + row) * n, (head * count + row + 1) * n);
  return selection.head === "mean" ? mean(Array.from({ length: shape[1] }, (_, head) => rowOf(head))) : rowOf(selection.head);
}
