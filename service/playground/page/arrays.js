// Arrays as the service sends them in base64: little-endian float16, row by row.

function float16ToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const FLOAT16_TABLE = Float32Array.from({ length: 65536 }, (_, bits) => float16ToNumber(bits));

/** Base64 of float16 -> Float32Array. */
export function decodeFloat16(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => FLOAT16_TABLE[view.getUint16(2 * i, true)]);
}

/** The mean of several arrays of one length, number by number. */
export const mean = (arrays) => Float32Array.from(arrays[0], (_, i) => arrays.reduce((sum, each) => sum + each[i], 0) / arrays.length);

/** The product of two vectors; of normalized ones, their cosine. */
export const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

export const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);
