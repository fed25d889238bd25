"""Preprocessing of image files to pixels, with the boxes of the patches in the client's own image.

Letters: x, y columns and rows in px. "Original" is the image as its viewer sees it, turned upright.
"""

from dataclasses import dataclass, field
from math import ceil, floor
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.artifact.arrays import Pixels
from models.artifact.specs import ImageSpec
from models.preprocess.image_decoding import decode_image
from models.preprocess.model_input import content_key

MAX_PIXELS = 25_000_000
"""Default limit on the pixels of an image: fits a 24-megapixel camera, 75 MB decoded."""

_MAX_UPSCALED_PIXELS: Final = 2**22
"""Maximum pixels to which an original is enlarged whole. A thin image of few bytes could be enlarged to gigapixels."""

_FILTER_MARGIN_PX: Final = 4
"""Margin of an enlarged crop: more px than any interpolation reads to either side."""

Size = tuple[int, int]
"""Width and height in px, in Pillow's order."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px of the original; fractions where cells do not fall on its pixels."""


@dataclass(frozen=True, slots=True)
class PreprocessedImage:
    """Image as its model takes it: `pixels` `[height_px, width_px, 3]`, of which `crop_box_px` is the part in the
    original.

    `num_tokens` is the length of the sequence that it is to the encoder, the same for every image of a model.
    """

    pixels: Pixels
    num_tokens: int
    width_px: int
    height_px: int
    crop_box_px: Box
    truncated: Literal[False] = False
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", content_key(self.pixels))

    @property
    def data(self) -> Pixels:
        return self.pixels

    def patch_boxes_px(self, rows: int, columns: int) -> npt.NDArray[np.float64]:
        """Return `[rows * columns, 4]`: the Box of each cell of a grid over the image, row by row."""
        x0, y0, x1, y1 = self.crop_box_px
        x = np.linspace(x0, x1, columns + 1)
        y = np.linspace(y0, y1, rows + 1)
        left, top = np.meshgrid(x[:-1], y[:-1])
        right, bottom = np.meshgrid(x[1:], y[1:])
        return np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)


class ImagePreprocessor:
    """Decodes and scales images for one model. Thread-safe: nothing changes after construction."""

    def __init__(self, spec: ImageSpec, *, max_pixels: int = MAX_PIXELS) -> None:
        self._spec = spec
        self._max_pixels = max_pixels
        self._resampling = Image.Resampling[spec.interpolation.upper()]

    def __call__(self, data: bytes) -> PreprocessedImage:
        """Decode a JPEG, PNG or WebP file and make it the model's size. Raises ImageDecodeError."""
        spec = self._spec
        original = decode_image(data, max_pixels=self._max_pixels, transparency=spec.transparency)
        resized = _resized_size(original.size, spec)
        crop_box = _center_crop_box(resized, spec)
        region = _to_original_px(crop_box, resized, original.size)
        if isinstance(spec.resize_px, tuple) or _area(resized) <= max(_MAX_UPSCALED_PIXELS, _area(original.size)):
            pixels = original.resize(resized, self._resampling).crop(crop_box)
        else:
            pixels = self._upscale_region(original, region)
        return PreprocessedImage(np.asarray(pixels), spec.num_tokens, *original.size, region)

    def _upscale_region(self, original: Image.Image, region: Box) -> Image.Image:
        """Return the crop of the enlarged original, made from `region` alone.

        To within 1 of 255, save for a value in a million that is 2 off (and "nearest" and "box", which jump, at the
        borders of the original's px): Pillow holds a box in float32 only, so what is far is cut off before.
        Across, then down, as Pillow enlarges: left to itself it may take the part the other way round, which differs
        where the filter overshoots.
        """
        size = self._spec.width_px, self._spec.height_px
        left, top = (max(0, floor(edge) - _FILTER_MARGIN_PX) for edge in region[:2])
        right, bottom = (
            min(ceil(edge) + _FILTER_MARGIN_PX, end) for edge, end in zip(region[2:], original.size, strict=True)
        )
        neighborhood = original.crop((left, top, right, bottom))
        x0, y0, x1, y1 = (edge - start for edge, start in zip(region, (left, top) * 2, strict=True))
        across = neighborhood.resize(
            (size[0], neighborhood.height), self._resampling, box=(x0, 0, x1, neighborhood.height)
        )
        return across.resize(size, self._resampling, box=(0, y0, size[0], y1))


def _resized_size(size: Size, spec: ImageSpec) -> Size:
    """Return the size to which an original of `size` is scaled, rounded as the training pipelines round."""
    if isinstance(spec.resize_px, tuple):
        rows, columns = spec.resize_px
        return columns, rows
    width, height = size
    return spec.resize_px * width // min(size), spec.resize_px * height // min(size)


def _center_crop_box(resized: Size, spec: ImageSpec) -> tuple[int, int, int, int]:
    """Return the center crop of the scaled image: x0, y0, x1, y1 in its px; an odd rest is larger after it."""
    left, top = (resized[0] - spec.width_px) // 2, (resized[1] - spec.height_px) // 2
    return left, top, left + spec.width_px, top + spec.height_px


def _to_original_px(crop_box: tuple[int, int, int, int], resized: Size, original: Size) -> Box:
    """Map a box in the model's image to the original."""
    x0, y0, x1, y1 = crop_box
    across, down = original[0] / resized[0], original[1] / resized[1]
    return x0 * across, y0 * down, x1 * across, y1 * down


def _area(size: Size) -> int:
    return size[0] * size[1]
