"""Mapping of values to the colormap."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.visualization.colormap import Floats


@dataclass(frozen=True, slots=True)
class ColorNorm:
    """Mapping from `vmin`, the colormap's start, to `vmax`, its end; linear, or by the square root of the value.

    The root is for raw weights: a few of a row take nearly all, and the rest would be one dark color.
    """

    vmin: float
    vmax: float
    sqrt: bool = False

    @classmethod
    def from_values(cls, values: npt.ArrayLike) -> Self:
        """Linear, over these values and no further."""
        array = np.asarray(values, dtype=np.float64)
        return cls(float(array.min()), float(array.max()))

    @classmethod
    def sqrt_from_zero(cls, values: npt.ArrayLike) -> Self:
        """By the square root, from 0 to the largest of these values."""
        return cls(0.0, float(np.max(values)), sqrt=True)

    def normalize(self, values: npt.ArrayLike) -> Floats:
        """In 0 to 1. Where all values are one, it is the largest."""
        array = np.asarray(values, dtype=np.float64)
        span = self.vmax - self.vmin
        if span <= 0:
            return np.ones_like(array)
        fractions = ((array - self.vmin) / span).clip(0, 1)
        return np.sqrt(fractions) if self.sqrt else fractions

    def inverse(self, fraction: float) -> float:
        """Return the value at a fraction of the colormap."""
        return self.vmin + (self.vmax - self.vmin) * (fraction**2 if self.sqrt else fraction)


def format_value(value: float) -> str:
    """Three digits, for a person."""
    return f"{value:.3g}"
