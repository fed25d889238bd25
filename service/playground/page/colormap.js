// Perceptually uniform colormaps: lightness runs in a straight line through OKLab (Ottosson, 2020), so equal steps
// of a weight look like equal steps. Each is `[lightness, chroma, hue in degrees]` at equal distances.

const IMAGE_STOPS = [[0.2, 0.04, 290], [0.35, 0.13, 300], [0.5, 0.18, 350], [0.65, 0.19, 35], [0.8, 0.17, 70], [0.95, 0.12, 105]];
const LIGHT_STOPS = [[0.975, 0.012, 95], [0.895, 0.09, 90], [0.815, 0.14, 75], [0.735, 0.17, 60], [0.655, 0.19, 45]];
const DARK_STOPS = [[0.27, 0.012, 285], [0.41, 0.09, 300], [0.55, 0.17, 345], [0.69, 0.18, 35], [0.83, 0.16, 75]];
const NEGATIVE_STOPS = { paper: [[0.975, 0.005, 250], [0.8, 0.1, 250], [0.625, 0.17, 255]], night: [[0.27, 0.01, 260], [0.48, 0.11, 250], [0.7, 0.13, 235]] };

/** Whether the page is dark now: chosen, or as the system is. */
export const isDark = () =>
  (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

/** Color over images, in light and dark mode: fraction 0 to 1 -> `[r, g, b]`, 0 to 255. */
export const imageColor = (fraction) => interpolate(IMAGE_STOPS, fraction);

/** Color behind text: fraction -1 to 1; blue below 0. */
export function textColor(fraction) {
  if (fraction < 0) return interpolate(NEGATIVE_STOPS[isDark() ? "night" : "paper"], -fraction);
  return interpolate(isDark() ? DARK_STOPS : LIGHT_STOPS, fraction);
}

export const toCss = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;

/** Black or white, whichever contrasts more: at least 4.58 to 1 on any color. */
export function contrastingInk(rgb) {
  const luminance = 0.2126 * toLinear(rgb[0]) + 0.7152 * toLinear(rgb[1]) + 0.0722 * toLinear(rgb[2]);
  return luminance > 0.1791 ? "#000" : "#fff";
}

/** A gradient for a legend, from `from` to 1. */
export function gradient(map, from = 0) {
  const stops = Array.from({ length: 21 }, (_, i) => toCss(map(from + ((1 - from) * i) / 20)));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

function interpolate(stops, fraction) {
  const at = Math.min(Math.max(fraction || 0, 0), 1) * (stops.length - 1);
  const below = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [polarToLab(stops[below]), polarToLab(stops[below + 1])];
  return rgb(from.map((value, i) => value + (at - below) * (to[i] - value)));
}

function polarToLab([lightness, chroma, hue]) {
  const angle = (hue * Math.PI) / 180;
  return [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

function rgb([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((value) => Math.round(255 * toSrgb(Math.min(Math.max(value, 0), 1))));
}

const toSrgb = (value) => (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);
const toLinear = (value) => (value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
