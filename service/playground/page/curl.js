// The curl command of the request that is shown.

import { attentionOptions } from "./attention.js";

const RAW_TYPES = new Set(["image/png", "image/jpeg", "image/webp"]);

/** Quote a word for a POSIX shell. */
export const shellQuote = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** A file's name, unless it has characters that a terminal would not show: others may have named it. */
const safeFileName = (name) => (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(name) ? name : "image");

/** `view` is null without attention; `query` a position or "pool". A key is named, and never written out. */
export function curlCommand(endpoint, { model, input, view, query, withKey }) {
  const key = withKey ? [`  -H "Authorization: Bearer $API_KEY"`] : [];
  const attention = view && attentionJson(view, query, model);
  if (input.kind === "image") return joinLines([...downloadCommand(input), ...imageCommand(endpoint, model, input, attention, key)]);
  const body = { model: model.id, input: input.text, ...(attention && { attention }) };
  return joinLines([`curl -s ${shellQuote(endpoint)}`, "  -H 'Content-Type: application/json'", ...key, `  -d ${shellQuote(toSafeJson(body))}`]);
}

/** The download of an example scene from the server. */
const downloadCommand = ({ address, name }) => (address ? [`curl -s -o ${shellQuote(safeFileName(name))} ${shellQuote(address)} &&`] : []);

function imageCommand(endpoint, model, input, attention, key) {
  const file = shellQuote(safeFileName(input.name));
  const simple = !attention || (attention.reduce !== "raw" && attention.query === "pool");
  if (simple && RAW_TYPES.has(input.type)) {
    const query = new URLSearchParams({ model: model.id, ...(attention && { attention: attention.reduce }) });
    return [`curl -s ${shellQuote(`${endpoint}?${query}`)}`, `  -H ${shellQuote(`Content-Type: ${input.type}`)}`, ...key, `  --data-binary @${file}`];
  }
  const [before, after] = toSafeJson({ model: model.id, input: [{ image: "\n" }], ...(attention && { attention }) }).split("\\n");
  return [
    `{ printf %s ${shellQuote(before)}; base64 < ${file} | tr -d '\\n'; printf %s ${shellQuote(after)}; } |`,
    `  curl -s ${shellQuote(endpoint)} -H 'Content-Type: application/json'`, ...key, "  --data-binary @-",
  ];
}

function attentionJson(view, query, model) {
  const options = attentionOptions(view, query, model.grid?.prefix ?? 0);
  return view.reduce === "raw" && view.head === "mean" ? { ...options, heads: "mean" } : options;
}

/** JSON with invisible characters escaped, safe in shells and terminals. */
const toSafeJson = (body) => JSON.stringify(body).replace(/[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

const joinLines = (parts) => parts.map((part, i) => (i < parts.length - 1 && !/[|&]$/.test(part) ? `${part} \\` : part)).join("\n");
