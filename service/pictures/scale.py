"""Values as places on the colour map."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.pictures.colours import Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """From `least`, at the map's start, to `largest`, at its end; linear, or by the square root of the value.

    The root is for raw weights: a few of a row take nearly all, and what is left would be one dark colour.
    """

    least: float
    largest: float
    root: bool = False

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Linear, over these values and no further."""
        found = np.asarray(values, dtype=np.float64)
        return cls(float(found.min()), float(found.max()))

    @classmethod
    def from_zero(cls, values: npt.ArrayLike) -> Self:
        """By the square root, from 0 to the largest of these values."""
        return cls(0.0, float(np.max(values)), root=True)

    def places(self, values: npt.ArrayLike) -> Floats:
        """In 0 to 1. Where all values are one, it is the largest."""
        found = np.asarray(values, dtype=np.float64)
        span = self.largest - self.least
        if span <= 0:
            return np.ones_like(found)
        places = ((found - self.least) / span).clip(0, 1)
        return np.sqrt(places) if self.root else places

    def value(self, place: float) -> float:
        """What stands at a place of the map."""
        return self.least + (self.largest - self.least) * (place**2 if self.root else place)


def number(value: float) -> str:
    """Three digits, for a person."""
    return f"{value:.3g}"
