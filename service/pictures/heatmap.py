"""A picture under the colours of its cells' weights.

Cell by cell, not smoothed: a model gives one weight for each cell, and in between there is none to show.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from service.pictures.colours import Floats, shade
from service.pictures.legend import legend
from service.pictures.page import Page
from service.pictures.scale import Scale

COVER: Final = 0.6
"""Share of the map's colour in a px; the rest is the picture."""

SATURATION: Final = 0.5
"""Of the picture's own colours, what is left: with all of them a red thing looks like a larger weight, with none a red
star on blue stripes is not seen any more."""

UNSEEN_COVER: Final = 0.55
"""Share of a light grey in what the model does not see."""

_UNSEEN_GREY: Final = (150, 150, 150)

MOST_TALL: Final = 3.0
"""Height over width at most: a picture that is longer stands in the middle, narrower than its page."""


def heat_map(
    picture: Image.Image,
    values: npt.ArrayLike,
    boxes_px: Floats,
    *,
    width_px: int,
    caption: Sequence[str],
    marked: int | None = None,
) -> Image.Image:
    """`picture` in RGB, `values` `[m]` on cells whose `boxes_px` `[m, 4]` are in px of it; `marked` is outlined."""
    page = Page(width_px)
    scale = Scale.of(values)
    image = covered(picture, scale.places(values), boxes_px, fitted(picture.size, page))
    if marked is not None:
        box = _on(boxes_px, picture.size, image.size)[marked]
        ImageDraw.Draw(image).rectangle(_drawn(box), outline=(255, 255, 255), width=2 * page.line_px)
    return page.stack([image, *legend(page, scale, caption)])


def fitted(size: tuple[int, int], page: Page) -> tuple[int, int]:
    """Width and height, in proportion, that a picture of `size` is drawn in: at least 1 px each."""
    width, height = size
    room = page.room_px
    tallest = min(MOST_TALL * room, page.most_height_px)
    factor = min(room / width, tallest / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def covered(picture: Image.Image, places: npt.ArrayLike, boxes_px: Floats, size: tuple[int, int]) -> Image.Image:
    """The picture in `size`, its cells under the colours of their `places` on the map, and the rest greyed."""
    scaled = _scaled(picture, size)
    grey = scaled.convert("L").convert("RGB")
    colours = Image.new("RGB", size)
    seen = Image.new("L", size)
    draw, mask = ImageDraw.Draw(colours), ImageDraw.Draw(seen)
    for box, found in zip(_on(boxes_px, picture.size, size), shade(places).tolist(), strict=True):
        if box[0] < box[2] and box[1] < box[3]:
            draw.rectangle(_drawn(box), fill=tuple(found))
            mask.rectangle(_drawn(box), fill=255)
    unseen = Image.blend(grey, Image.new("RGB", size, _UNSEEN_GREY), UNSEEN_COVER)
    return Image.composite(Image.blend(Image.blend(grey, scaled, SATURATION), colours, COVER), unseen, seen)


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Smoothly, with px that stay px where it is enlarged much."""
    enlarged = size[0] > 8 * picture.width
    return picture.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BICUBIC)


def _on(boxes_px: Floats, size: tuple[int, int], drawn: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Boxes in px of a picture of `size` as whole px of the drawn one: what touches there touches here."""
    factors = np.array(drawn * 2) / np.array(size * 2)
    edges = (np.asarray(boxes_px) * factors).round().clip(0, np.array(drawn * 2)).astype(int)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in edges.tolist()]


def _drawn(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Pillow draws the last px of a rectangle too."""
    x0, y0, x1, y1 = box
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)
