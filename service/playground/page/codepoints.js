// The service counts code points, JavaScript's strings UTF-16 units: one converts to the other here.

/** Where each code point of `text` begins in UTF-16 units, and where the last one ends: `[code points + 1]`. */
export function utf16Offsets(text) {
  const found = [];
  let at = 0;
  for (const point of text) {
    found.push(at);
    at += point.length;
  }
  found.push(at);
  return found;
}

/**
 * A text as its tokens cut it: `{text, tokens}` in order, `tokens` the indices of those that stand there, none in the
 * gaps between. Tokens that share characters (an emoji in several bytes) are one piece.
 */
export function tokenSpans(text, tokens) {
  const units = utf16Offsets(text);
  const last = units.length - 1;
  const found = [];
  let end = 0;
  tokens.forEach((token, index) => {
    if (token.start >= token.end) return;
    const before = found.at(-1);
    if (before?.tokens.length && token.start < end) {
      before.tokens.push(index);
      before.to = end = Math.max(end, Math.min(token.end, last));
      return;
    }
    if (token.start > end) found.push({ from: end, to: token.start, tokens: [] });
    end = Math.min(token.end, last);
    found.push({ from: Math.min(token.start, last), to: end, tokens: [index] });
  });
  if (end < last) found.push({ from: end, to: last, tokens: [] });
  return found.map(({ from, to, tokens: of }) => ({ text: text.slice(units[from], units[to]), tokens: of }));
}

/** Control characters as their pictures (U+2400…): they stand in the text, so they must be seen. */
export const showControlCharacters = (text) =>
  text.replace(/[\0-\x08\x0b-\x1f]/g, (found) => String.fromCharCode(0x2400 + found.charCodeAt(0))).replace(/\x7f/g, "␡");
