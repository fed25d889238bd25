"""Colormap, computed by formula: dark indigo, magenta, orange, yellow.

It is a cubic Bezier curve in OKLab, resampled so that equal steps of value are equal distances, with lightness that
only rises: who sees no hue still sees the order. OKLab and its matrices: Bjorn Ottosson, "A perceptual color space for
image processing" (2020). Contrast: W3C, Web Content Accessibility Guidelines 2.2.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
"""sRGB in 8 bits."""

BACKGROUND: Color = (22, 21, 30)
INK: Color = (236, 235, 242)
MUTED: Color = (160, 158, 172)
"""Colors of the page, its text and its secondary text; contrast on the background is 15:1 and 6.9:1."""

LEVELS = 256

_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_LMS, _FROM_LAB = np.linalg.inv(_LMS), np.linalg.inv(_LAB)

_CONTROL = np.array(
    [
        [0.25, -0.015, -0.120],  # indigo
        [0.58, 0.355, -0.290],  # pulled towards magenta
        [0.717, 0.095, 0.230],  # and orange
        [0.96, -0.070, 0.170],  # pale yellow
    ]
)
"""L, a, b of the curve's control points."""

_CURVE_SAMPLES = 4_096


def to_linear(srgb: Floats) -> Floats:
    """Convert sRGB in 0 to 1 to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_oklab(srgb: Floats) -> Floats:
    """`[..., 3]` sRGB in 0 to 1 as L, a, b."""
    lab: Floats = np.cbrt(to_linear(srgb) @ _LMS.T) @ _LAB.T
    return lab


def to_srgb(lab: Floats) -> Floats:
    """Convert L, a, b to sRGB; outside 0 to 1 if sRGB does not have the color."""
    light = (lab @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T
    curved = 1.055 * np.abs(light) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved)


def oklab_path(levels: int = LEVELS) -> Floats:
    """`[levels, 3]`: the map in OKLab, equally spaced along the curve."""
    t = np.linspace(0, 1, _CURVE_SAMPLES)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    curve = weights @ _CONTROL
    arc_length = np.concatenate([[0], np.linalg.norm(np.diff(curve, axis=0), axis=1).cumsum()])
    positions = np.linspace(0, arc_length[-1], levels)
    return np.stack([np.interp(positions, arc_length, curve[:, i]) for i in range(3)], axis=1)


COLORMAP: Bytes = (to_srgb(oklab_path()).clip(0, 1) * 255).round().astype(np.uint8)
"""`[256, 3]`: 8-bit sRGB."""


def apply_colormap(fractions: npt.ArrayLike) -> Bytes:
    """Return `[..., 3]`: the colors of values in 0 to 1."""
    return COLORMAP[(np.asarray(fractions, dtype=np.float64) * (LEVELS - 1)).round().astype(np.intp)]


def color_at(fraction: float) -> Color:
    """Return the color of one value."""
    red, green, blue = apply_colormap(fraction).tolist()
    return red, green, blue


def contrast_ratio(first: Color, second: Color) -> float:
    """Return W3C's contrast ratio of two colors, 1 to 21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=LEVELS)
def contrasting_ink(background: Color) -> Color:
    """Return black or white, the one with the higher contrast on `background`: at least 4.58:1 on any."""
    return max((0, 0, 0), (255, 255, 255), key=lambda ink: contrast_ratio(ink, background))


def _luminance(color: Color) -> float:
    return float(to_linear(np.array(color) / 255) @ (0.2126, 0.7152, 0.0722))
