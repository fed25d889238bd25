"""OKLab, and the curve in it on which the colormap lies.

Matrices: Bjorn Ottosson, "A perceptual color space for image processing" (2020).
"""

import numpy as np

from service.visualization.colormap import LEVELS, Floats

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
