// The weights of one input: of the pooled embedding, or of one of its positions; each is requested once.
//
// Letters: n positions, m of them without the prefix (all of a text, the patches of an image), p = n - m before them.

import { embed } from "./api.js";
import { decodeFloat16, mean } from "./arrays.js";

/** A larger matrix than this is not fetched whole, but row by row. */
const MAX_MATRIX_VALUES = 2_000_000;

export const headsOf = (model, layer) =>
  Array.isArray(model.attention.heads) ? model.attention.heads[layer] : model.attention.heads;

/** Return the request's `attention` for a view `{reduce, layer, head}` and a query.
 *
 * The query is "pool", "all", or a position counted after the prefix.
 */
export function attentionOptions(view, query, prefix = 0) {
  if (view.reduce !== "raw") return { reduce: view.reduce, query };
  const heads = view.head === "mean" ? "all" : [view.head];
  return { reduce: "raw", query: typeof query === "number" ? query + prefix : query, layers: [view.layer], heads };
}

export class Attention {
  constructor(model, input) {
    this.model = model;
    this.input = input;
    this.prefix = model.grid?.prefix ?? 0;
    this.cache = new Map();
  }

  /** Store the attention that came with the embedding, so that it is not requested again. */
  keep(view, attention) {
    this.cache.set(cacheKey(view, "pool"), Promise.resolve(attention));
  }

  /** `{prefix [p], values [m]}`: the weight of each position in the embedding. */
  async pooled(view, signal) {
    const found = await this.fetched(view, "pool", signal);
    return this.split(view, selectRow(found, view, 0, 1));
  }

  /** The same for one position: what it attends to. */
  async of(view, position, signal) {
    const raw = view.reduce === "raw";
    const m = this.positions;
    const n = raw ? m + this.prefix : m;
    const size = n * n * (raw ? headsOf(this.model, view.layer) : 1);
    if (size > MAX_MATRIX_VALUES) {
      const found = await this.fetched(view, raw ? position + this.prefix : position, signal);
      return this.split(view, selectRow(found, view, 0, 1));
    }
    const found = await this.fetched(view, "all", signal);
    return this.split(view, selectRow(found, view, raw ? position + this.prefix : position, n));
  }

  split(view, values) {
    const p = view.reduce === "raw" ? this.prefix : 0;
    return { prefix: values.slice(0, p), values: values.slice(p) };
  }

  fetched(view, query, signal) {
    const key = cacheKey(view, query);
    if (!this.cache.has(key)) {
      const options = { ...attentionOptions({ ...view, head: "mean" }, query), encoding: "base64" };
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

const cacheKey = (view, query) => `${view.reduce}/${view.reduce === "raw" ? view.layer : ""}/${query}`;

/** Return one row of the `[n, n]` weights, or, from `[1, h, n, n]`, of the chosen head or the mean over heads. */
function selectRow({ shape, values }, view, row, count) {
  const n = shape.at(-1);
  if (view.reduce !== "raw") return values.slice(row * n, (row + 1) * n);
  const of = (head) => values.slice((head * count + row) * n, (head * count + row + 1) * n);
  return view.head === "mean" ? mean(Array.from({ length: shape[1] }, (_, head) => of(head))) : of(view.head);
}
