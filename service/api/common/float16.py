"""Vectorized conversion to float16; numpy's cast is scalar and raises the underflow flag for every subnormal."""

import numpy as np
from numpy.typing import NDArray

from models.artifact.arrays import Floats

_EXPONENT_REBIAS = np.uint32((((15 - 127) << 23) + 0xFFF) & 0xFFFFFFFF)
"""From float32's exponent to float16's, and all but the last of what rounds half up."""

_DROPPED_BITS = np.uint32(13)
_MIN_NORMAL = np.float32(2.0**-14)
_HALF = np.float32(0.5)
"""Whose last bit is the value of the last bit of float16's subnormals: adding it rounds to them."""


def to_float16(weights: Floats) -> NDArray[np.float16]:
    """float32 -> little-endian float16 of the same shape, rounded to the nearest, ties to even; from 0 to 65,519.

    Of every value both kinds of bits are made, and then one is chosen: a few passes, each of many values at a time.
    Source: F. Giesen, "float->half variants" (2016), which does so value by value.
    """
    bits = weights.view(np.uint32)
    normal = bits >> _DROPPED_BITS
    normal &= np.uint32(1)
    normal += bits
    normal += _EXPONENT_REBIAS
    normal >>= _DROPPED_BITS
    subnormal = (weights + _HALF).view(np.uint32) - _HALF.view(np.uint32)
    return np.where(weights < _MIN_NORMAL, subnormal, normal).astype("<u2").view("<f2")
