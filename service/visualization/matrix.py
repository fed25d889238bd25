"""Attention matrix with the names of its rows and columns."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from service.visualization.color_norm import ColorNorm
from service.visualization.colorbar import colorbar
from service.visualization.colormap import INK
from service.visualization.drawing import Drawing, Placed, Raster
from service.visualization.font import Font, printable
from service.visualization.page import Page
from service.visualization.small_multiples import mosaic, render_panel

MIN_CELL_PX: Final = 10
"""Minimum size of a cell with a label."""

_MAX_NAME_CHARACTERS: Final = 14


def matrix(values: npt.ArrayLike, names: Sequence[str], *, width_px: int, caption: Sequence[str]) -> Drawing:
    """Draw `values` `[m, m]`: rows attend to columns. Without `names`, or space for them, as a single panel."""
    page = Page(width_px)
    array = np.asarray(values, dtype=np.float64)
    font = Font(max(10, min(page.font_px, page.content_width_px // max(1, len(names)) * 2 // 3)))
    labels = [_shorten(name) for name in names]
    gutter = max(map(font.width_px, labels), default=0) + font.size_px // 2
    cell = (page.content_width_px - gutter) // max(1, len(names))
    if not labels or cell < MIN_CELL_PX:
        return mosaic(array[None, None], row_names=[""], names=[""], aspect=1, width_px=width_px, caption=caption)
    cell = min(cell, 4 * font.size_px)
    norm = ColorNorm.sqrt_from_zero(array)
    side = cell * len(labels)
    left = (page.width_px - side - gutter) // 2 + gutter
    drawing = page.blank(gutter + side)
    drawing.add(Raster(left, gutter, render_panel(array, (side, side), norm)))
    middle = (cell + font.ascent_px - font.descent_px) // 2
    for i, name in enumerate(labels):
        x = left - font.width_px(name) - font.size_px // 3
        drawing.write(x, gutter + i * cell + middle, name, font, INK)
    drawing.add(Placed(left, 0, _column_labels(labels, font, cell, gutter), rotated=True))
    return page.stack([drawing, *colorbar(page, norm, caption)])


def _column_labels(names: Sequence[str], font: Font, cell: int, height: int) -> Drawing:
    """Draw the names as column labels, to be rotated."""
    drawing = Drawing(height, cell * len(names))
    middle = (cell + font.ascent_px - font.descent_px) // 2
    for i, name in enumerate(names):
        drawing.write(font.size_px // 3, i * cell + middle, name, font, INK)
    return drawing


def _shorten(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _MAX_NAME_CHARACTERS else text[: _MAX_NAME_CHARACTERS - 1] + "\u2026"
