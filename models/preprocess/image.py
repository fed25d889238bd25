"""Picture files to the pixels that a model takes, with the boxes of its cells in the caller's own picture.

Letters: x, y columns and rows in px. "Original" is the picture as its viewer sees it, turned upright.
"""

from dataclasses import dataclass, field
from math import ceil, floor
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.contract.arrays import Pixels
from models.contract.specs import ImageSpec
from models.preprocess.decoding import decode
from models.preprocess.prepared import content_key

MAX_PIXELS = 25_000_000
"""Most pixels of a picture unless told otherwise: a 24 megapixel camera's, 75 MB decoded."""

_WHOLE_PIXELS: Final = 2**22
"""Most pixels that an original is enlarged to whole. A sliver of few bytes could be enlarged to gigapixels."""

_REACH_PX: Final = 4
"""More px of a picture that is enlarged than any interpolation looks to either side."""

Size = tuple[int, int]
"""Width and height in px, in Pillow's order."""

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
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", content_key(self.pixels))

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

    def __call__(self, data: bytes) -> Picture:
        """Decode a JPEG, PNG or WebP file and make it the model's size. Raises ImageProblem."""
        spec = self._spec
        original = decode(data, max_pixels=self._max_pixels, transparency=spec.transparency)
        scaled = _scaled(original.size, spec)
        cut = _middle(scaled, spec)
        region = _unscaled(cut, scaled, original.size)
        if isinstance(spec.scaled_px, tuple) or _area(scaled) <= max(_WHOLE_PIXELS, _area(original.size)):
            pixels = original.resize(scaled, self._resampling).crop(cut)
        else:
            pixels = self._enlarged(original, region)
        return Picture(np.asarray(pixels), spec.positions, *original.size, region)

    def _enlarged(self, original: Image.Image, region: Box) -> Image.Image:
        """What would be cut out of the whole original enlarged, made from `region` alone.

        To within 1 of 255, save for a value in a million that is 2 off (and "nearest" and "box", which jump, at the
        borders of the original's px): Pillow holds a box in float32 only, so what is far is cut off before.
        Across, then down, as Pillow enlarges: left to itself it may take the part the other way round, which differs
        where the filter overshoots.
        """
        size = self._spec.columns_px, self._spec.rows_px
        left, top = (max(0, floor(edge) - _REACH_PX) for edge in region[:2])
        right, bottom = (min(ceil(edge) + _REACH_PX, end) for edge, end in zip(region[2:], original.size, strict=True))
        near = original.crop((left, top, right, bottom))
        x0, y0, x1, y1 = (edge - start for edge, start in zip(region, (left, top) * 2, strict=True))
        across = near.resize((size[0], near.height), self._resampling, box=(x0, 0, x1, near.height))
        return across.resize(size, self._resampling, box=(0, y0, size[0], y1))


def _scaled(size: Size, spec: ImageSpec) -> Size:
    """What an original of `size` is scaled to, rounded as the training pipelines round."""
    if isinstance(spec.scaled_px, tuple):
        rows, columns = spec.scaled_px
        return columns, rows
    width, height = size
    return spec.scaled_px * width // min(size), spec.scaled_px * height // min(size)


def _middle(scaled: Size, spec: ImageSpec) -> tuple[int, int, int, int]:
    """The model's part of the scaled picture: x0, y0, x1, y1 in px of that. Of an odd rest more lies after."""
    left, top = (scaled[0] - spec.columns_px) // 2, (scaled[1] - spec.rows_px) // 2
    return left, top, left + spec.columns_px, top + spec.rows_px


def _unscaled(cut: tuple[int, int, int, int], scaled: Size, original: Size) -> Box:
    """Where that part lies in the original."""
    x0, y0, x1, y1 = cut
    across, down = original[0] / scaled[0], original[1] / scaled[1]
    return x0 * across, y0 * down, x1 * across, y1 * down


def _area(size: Size) -> int:
    return size[0] * size[1]
