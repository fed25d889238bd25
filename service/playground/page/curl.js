// The request that gives what is on the screen, for a shell.

import { asked } from "./attention.js";

const RAW_TYPES = new Set(["image/png", "image/jpeg", "image/webp"]);

/** A word of a POSIX shell: within single quotes all stands for itself but the quote. */
export const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** A file's name, unless it holds what a terminal would not show: somebody else may have named it. */
const plain = (name) => (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(name) ? name : "picture");

/** `view` is null without attention; `query` a position or "pool". A key is named, and never written out. */
export function command(endpoint, { model, input, view, query, keyed }) {
  const key = keyed ? [`  -H "Authorization: Bearer $API_KEY"`] : [];
  const attention = view && json(view, query, model);
  if (input.kind === "image") return lines([...fetched(input), ...image(endpoint, model, input, attention, key)]);
  const body = { model: model.id, input: input.text, ...(attention && { attention }) };
  return lines([`curl -s ${quoted(endpoint)}`, "  -H 'Content-Type: application/json'", ...key, `  -d ${quoted(written(body))}`]);
}

/** A scene is the server's own: the file comes from there. */
const fetched = ({ address, name }) => (address ? [`curl -s -o ${quoted(plain(name))} ${quoted(address)} &&`] : []);

function image(endpoint, model, input, attention, key) {
  const file = quoted(plain(input.name));
  const simple = !attention || (attention.reduce !== "raw" && attention.query === "pool");
  if (simple && RAW_TYPES.has(input.type)) {
    const query = new URLSearchParams({ model: model.id, ...(attention && { attention: attention.reduce }) });
    return [`curl -s ${quoted(`${endpoint}?${query}`)}`, `  -H ${quoted(`Content-Type: ${input.type}`)}`, ...key, `  --data-binary @${file}`];
  }
  const [before, after] = written({ model: model.id, input: [{ image: "\n" }], ...(attention && { attention }) }).split("\\n");
  return [
    `{ printf %s ${quoted(before)}; base64 < ${file} | tr -d '\\n'; printf %s ${quoted(after)}; } |`,
    `  curl -s ${quoted(endpoint)} -H 'Content-Type: application/json'`, ...key, "  --data-binary @-",
  ];
}

function json(view, query, model) {
  const found = asked(view, query, model.grid?.prefix ?? 0);
  return view.reduce === "raw" && view.head === "mean" ? { ...found, heads: "mean" } : found;
}

/** JSON that any shell and terminal takes: what is not to be seen is escaped. */
const written = (body) => JSON.stringify(body).replace(/[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);

const lines = (parts) => parts.map((part, i) => (i < parts.length - 1 && !/[|&]$/.test(part) ? `${part} \\` : part)).join("\n");
