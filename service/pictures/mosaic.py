"""Raw attention as small multiples: a panel for each head of each layer, all on one scale."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from service.pictures.colours import QUIET, Floats, shade
from service.pictures.legend import legend
from service.pictures.page import Page
from service.pictures.panels import Panels, table
from service.pictures.scale import Scale
from service.pictures.typeface import Typeface


def mosaic(
    values: npt.ArrayLike,
    *,
    row_names: Sequence[str],
    names: Sequence[str],
    shape: float,
    width_px: int,
    caption: Sequence[str],
) -> Image.Image:
    """`values` `[rows, columns, y, x]`: matrices, grids or strips, each drawn `shape` times as high as wide.

    Colours go by the square root of the value, from 0. Where there are more values than px the largest is shown: no
    peak is lost. Raises TooManyPanels.
    """
    page = Page(width_px)
    found = np.asarray(values, dtype=np.float64)
    scale = Scale.from_zero(found)
    face = Typeface(max(10, round(page.type_px * 0.85)))
    panels = table(page, row_names, names, shape, face)
    flat = found.reshape(-1, *found.shape[2:])
    image = page.blank(panels.top_px + panels.height_px)
    for (row, column), one in zip(product(range(panels.rows), range(panels.columns)), flat, strict=False):
        image.paste(panel(one, panels.size_px, scale), panels.corner(row, column))
    _name(image, panels, face)
    return page.stack([image, *legend(page, scale, caption)])


def panel(values: Floats, size_px: tuple[int, int], scale: Scale) -> Image.Image:
    """`values` `[y, x]` in width and height."""
    width, height = size_px
    return Image.fromarray(shade(scale.places(resampled(resampled(values, height, 0), width, 1))))


def resampled(values: Floats, length: int, axis: int) -> Floats:
    """`length` values along an axis: each repeated, or of several the largest."""
    count = values.shape[axis]
    if length >= count:
        repeated: Floats = np.take(values, (np.arange(length) * count) // length, axis)
        return repeated
    largest: Floats = np.maximum.reduceat(values, (np.arange(length) * count) // length, axis)
    return largest


def _name(image: Image.Image, panels: Panels, face: Typeface) -> None:
    """Rows to the left, columns over the first row, or each panel over itself: by its number where there is no room."""
    draw = ImageDraw.Draw(image)
    width, height = panels.size_px
    fit = all(face.width_px(name) <= width for name in panels.names)
    for i, name in enumerate(panels.names):
        x, y = panels.corner(*divmod(i, panels.columns))
        told = name if fit else name.rpartition(" ")[2]
        if face.width_px(told) <= width:
            face.write(draw, (x + (width - face.width_px(told)) // 2, y - face.descent_px), told, QUIET)
    if panels.row_names and not fit:
        what = panels.names[0].partition(" ")[0]
        face.write(draw, (panels.left_px - face.width_px(what) - face.size_px // 2, y - face.descent_px), what, QUIET)
    for row, name in enumerate(panels.row_names):
        x, y = panels.corner(row, 0)
        middle = y + (height + face.ascent_px - face.descent_px) // 2
        face.write(draw, (x - face.width_px(name) - face.size_px // 2, middle), name, QUIET)
