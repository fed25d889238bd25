// The service counts code points, JavaScript's strings UTF-16 units: this module converts between them.

/** Offsets of the code points of `text` in UTF-16 units, and the end of the last one: `[code points + 1]`. */
export function utf16Offsets(text) {
  const offsets = [];
  let at = 0;
  for (const point of text) {
    offsets.push(at);
    at += point.length;
  }
  offsets.push(at);
  return offsets;
}

/**
 * Split a text into spans `{text, tokens}`, in order; `tokens` are the indices of its tokens, none for text between
 * tokens. Tokens that share characters (an emoji in several bytes) share a span.
 */
export function tokenSpans(text, tokens) {
  const units = utf16Offsets(text);
  const last = units.length - 1;
  const spans = [];
  let end = 0;
  tokens.forEach((token, index) => {
    if (token.start >= token.end) return;
    const before = spans.at(-1);
    if (before?.tokens.length && token.start < end) {
      before.tokens.push(index);
      before.to = end = Math.max(end, Math.min(token.end, last));
      return;
    }
    if (token.start > end) spans.push({ from: end, to: token.start, tokens: [] });
    end = Math.min(token.end, last);
    spans.push({ from: Math.min(token.start, last), to: end, tokens: [index] });
  });
  if (end < last) spans.push({ from: end, to: last, tokens: [] });
  return spans.map(({ from, to, tokens: indices }) => ({ text: text.slice(units[from], units[to]), tokens: indices }));
}

/** Control characters as visible symbols (U+2400…). */
export const showControlCharacters = (text) =>
  text.replace(/[\0-\x08\x0b-\x1f]/g, (match) => String.fromCharCode(0x2400 + match.charCodeAt(0))).replace(/\x7f/g, "␡");
