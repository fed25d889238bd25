"""Array types of an artifact's inputs and outputs."""

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
"""Pixels `[y, x, 3]`, sRGB."""

InputArray = npt.NDArray[Any]
"""Graph input of one item: token ids `[n]`, or pixels `[y, x, 3]`."""
