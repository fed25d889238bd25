"""Heat map: an image under the colors of its patches' weights.

Patch by patch, not smoothed: a model has one weight per patch and none in between.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from service.visualization.color_norm import ColorNorm, format_value
from service.visualization.colorbar import colorbar
from service.visualization.colormap import Floats, apply_colormap
from service.visualization.drawing import Drawing, Raster, Rectangle
from service.visualization.page import Page

OVERLAY_OPACITY: Final = 0.6
"""Opacity of the colormap over the image."""

SATURATION: Final = 0.5
"""Saturation kept of the image's own colors: in full, red objects look like larger weights; with none, a red star on
blue stripes is invisible."""

UNSEEN_OPACITY: Final = 0.55
"""Opacity of light gray over pixels outside the model's input."""

Box = tuple[int, int, int, int]

_UNSEEN_GRAY: Final = (150, 150, 150)

MAX_ASPECT: Final = 3.0
"""Maximum height over width; a longer image is centered, narrower than its page."""


def image_heatmap(
    original: Image.Image,
    values: npt.ArrayLike,
    boxes_px: Floats,
    *,
    width_px: int,
    caption: Sequence[str],
    marked: int | None = None,
) -> Drawing:
    """Draw `original` in RGB with `values` `[m]` on patches at `boxes_px` `[m, 4]`, in px of it; `marked` is
    outlined."""
    page = Page(width_px)
    norm = ColorNorm.from_values(values)
    size = fit_size(original.size, page)
    boxes = _scale_boxes(boxes_px, original.size, size)
    drawing = Drawing(*size)
    drawing.add(Raster(0, 0, _fade(original, boxes, size), photo=True))
    weights = np.asarray(values).tolist()
    for box, color, weight in zip(boxes, apply_colormap(norm.normalize(values)).tolist(), weights, strict=True):
        if box[0] < box[2] and box[1] < box[3]:
            drawing.add(Rectangle(box, fill=tuple(color), opacity=OVERLAY_OPACITY, title=format_value(weight)))
    if marked is not None:
        x0, y0, x1, y1 = boxes[marked]
        outlined = x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
        drawing.add(Rectangle(outlined, outline=(255, 255, 255), line_px=2 * page.line_px))
    return page.stack([drawing, *colorbar(page, norm, caption)])


def fit_size(size: tuple[int, int], page: Page) -> tuple[int, int]:
    """Return the proportional width and height in which an image of `size` is drawn: at least 1 px each."""
    width, height = size
    max_width = page.content_width_px
    max_height = min(MAX_ASPECT * max_width, page.max_height_px)
    factor = min(max_width / width, max_height / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _fade(original: Image.Image, boxes: Sequence[Box], size: tuple[int, int]) -> Image.Image:
    """Draw the image in `size`, with pale colors in the boxes and gray outside of them."""
    scaled = _resize(original, size)
    gray = scaled.convert("L").convert("RGB")
    seen_mask = Image.new("L", size)
    draw = ImageDraw.Draw(seen_mask)
    for x0, y0, x1, y1 in boxes:
        if x0 < x1 and y0 < y1:
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=255)  # Pillow draws the last px too
    unseen = Image.blend(gray, Image.new("RGB", size, _UNSEEN_GRAY), UNSEEN_OPACITY)
    return Image.composite(Image.blend(gray, scaled, SATURATION), unseen, seen_mask)


def _resize(original: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Smoothly, with px that stay px where it is enlarged much."""
    enlarged = size[0] > 8 * original.width
    return original.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC)


def _scale_boxes(boxes_px: Floats, size: tuple[int, int], drawn_size: tuple[int, int]) -> list[Box]:
    """Convert boxes from px of the original to whole px of the drawn image; touching boxes stay touching."""
    factors = np.array(drawn_size * 2) / np.array(size * 2)
    edges = (np.asarray(boxes_px) * factors).round().clip(0, np.array(drawn_size * 2)).astype(int)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in edges.tolist()]
