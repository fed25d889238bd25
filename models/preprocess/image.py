"""Picture files to the pixels that a model takes, with the boxes of its cells in the caller's own picture.

Letters: x, y columns and rows in px. "Original" is the picture as its viewer sees it, turned upright.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.contract.arrays import Pixels
from models.contract.manifest import ImageSpec
from models.preprocess.decoding import decode

MAX_PIXELS = 25_000_000
"""Most pixels of a picture unless told otherwise: a 24 megapixel camera's, 75 MB decoded."""

ENOUGH = 4
"""An original this many times as large as the model's picture is as good as any larger one: to within 2 of 255."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px of the original; fractions where cells do not fall on its pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as its model takes it: `pixels` `[rows_px, columns_px, 3]`, seen of the original in `region_px`.

    `positions` is the length of the sequence that it is to the encoder, the same for every picture of a model.
    """

    pixels: Pixels
    positions: int
    width_px: int
    height_px: int
    region_px: Box
    truncated: Literal[False] = False

    @property
    def data(self) -> Pixels:
        return self.pixels

    def boxes_px(self, rows: int, columns: int) -> npt.NDArray[np.float64]:
        """`[rows * columns, 4]`: the Box of each cell of a grid over the picture, row by row."""
        x0, y0, x1, y1 = self.region_px
        x = np.linspace(x0, x1, columns + 1)
        y = np.linspace(y0, y1, rows + 1)
        left, top = np.meshgrid(x[:-1], y[:-1])
        right, bottom = np.meshgrid(x[1:], y[1:])
        return np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)


class ImagePreprocessor:
    """Decodes and scales for one model. Safe to share between threads: nothing changes after construction."""

    def __init__(self, spec: ImageSpec, *, max_pixels: int = MAX_PIXELS) -> None:
        self._spec = spec
        self._max_pixels = max_pixels
        self._resampling = Image.Resampling[spec.interpolation.upper()]
        # "nearest" takes single pixels, which a shrunk original does not have.
        self._enough_px = None if spec.interpolation == "nearest" else ENOUGH * max(spec.rows_px, spec.columns_px)

    def __call__(self, data: bytes) -> Picture:
        """Decode a JPEG, PNG or WebP file and make it the model's size. Raises ImageProblem."""
        spec = self._spec
        original = decode(data, max_pixels=self._max_pixels, enough_px=self._enough_px)
        size = original.width_px, original.height_px
        region = _region(size, spec)
        shrunk = original.width_px / original.image.width
        x0, y0, x1, y1 = (edge / shrunk for edge in region)
        scaled = original.image.resize((spec.columns_px, spec.rows_px), self._resampling, box=(x0, y0, x1, y1))
        return Picture(np.asarray(scaled), spec.positions, *size, region)


def _region(size: tuple[int, int], spec: ImageSpec) -> Box:
    """The part of the original that the model sees.

    With "crop" it is where the middle of the scaled original would be cut out, both in whole pixels of the model's, as
    the training pipelines have it; scaling that part alone gives the same, whatever the original's proportions.
    """
    width, height = size
    if spec.fit == "stretch":
        return (0, 0, width, height)
    if width * spec.rows_px <= height * spec.columns_px:
        scaled = (spec.columns_px, height * spec.columns_px // width)
    else:
        scaled = (width * spec.rows_px // height, spec.rows_px)
    x0, x1 = _middle(spec.columns_px, scaled[0], width)
    y0, y1 = _middle(spec.rows_px, scaled[1], height)
    return (x0, y0, x1, y1)


def _middle(wanted: int, scaled: int, original: int) -> tuple[float, float]:
    """Where the middle `wanted` px of a side that was scaled from `original` to `scaled` px lie in the original."""
    first = (scaled - wanted) // 2
    return first * original / scaled, (first + wanted) * original / scaled
