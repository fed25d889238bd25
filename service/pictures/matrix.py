"""Who attends to whom: one matrix, with the names of its rows and columns where they can be read."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from service.pictures.colours import INK, PAGE
from service.pictures.legend import legend
from service.pictures.mosaic import mosaic, panel
from service.pictures.page import Page
from service.pictures.scale import Scale
from service.pictures.typeface import Typeface, spelled

LEAST_CELL_PX: Final = 10
"""Of a cell with a name beside it."""

_MOST_NAME: Final = 14


def matrix(values: npt.ArrayLike, names: Sequence[str], *, width_px: int, caption: Sequence[str]) -> Image.Image:
    """`values` `[m, m]`: rows attend to columns. Without `names`, or room for them, it is a mosaic of one."""
    page = Page(width_px)
    found = np.asarray(values, dtype=np.float64)
    face = Typeface(max(10, min(page.type_px, page.room_px // max(1, len(names)) * 2 // 3)))
    told = [_short(name) for name in names]
    gutter = max(map(face.width_px, told), default=0) + face.size_px // 2
    cell = (page.room_px - gutter) // max(1, len(names))
    if not told or cell < LEAST_CELL_PX:
        return mosaic(found[None, None], row_names=[""], names=[""], shape=1, width_px=width_px, caption=caption)
    cell = min(cell, 4 * face.size_px)
    scale = Scale.from_zero(found)
    side = cell * len(told)
    left = (page.width_px - side - gutter) // 2 + gutter
    image = page.blank(gutter + side)
    image.paste(panel(found, (side, side), scale), (left, gutter))
    middle = (cell + face.ascent_px - face.descent_px) // 2
    draw = ImageDraw.Draw(image)
    for i, name in enumerate(told):
        room = face.width_px(name)
        face.write(draw, (left - room - face.size_px // 3, gutter + i * cell + middle), name, INK)
    image.paste(_upright(told, face, cell, gutter), (left, 0))
    return page.stack([image, *legend(page, scale, caption)])


def _upright(names: Sequence[str], face: Typeface, cell: int, height: int) -> Image.Image:
    """The same names, a column each, read from below."""
    image = Image.new("RGB", (height, cell * len(names)), PAGE)
    draw = ImageDraw.Draw(image)
    middle = (cell + face.ascent_px - face.descent_px) // 2
    for i, name in enumerate(names):
        face.write(draw, (face.size_px // 3, i * cell + middle), name, INK)
    return image.transpose(Image.Transpose.ROTATE_90)


def _short(name: str) -> str:
    told = spelled(name)
    return told if len(told) <= _MOST_NAME else told[: _MOST_NAME - 1] + "\u2026"
