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


def matrix(
    values: npt.ArrayLike,
    row_names: Sequence[str],
    column_names: Sequence[str] | None = None,
    *,
    width_px: int,
    caption: Sequence[str],
) -> Drawing:
    """Draw `values` `[m, n]`: rows attend to columns, which have the same names unless others are given.

    Without names, or space for them, as a single panel.
    """
    column_names = row_names if column_names is None else column_names
    page = Page(width_px)
    array = np.asarray(values, dtype=np.float64)
    longest = max(1, len(row_names), len(column_names))
    font = Font(max(10, min(page.font_px, page.content_width_px // longest * 2 // 3)))
    rows, columns = ([_shorten(name) for name in names] for names in (row_names, column_names))
    gutter = max(map(font.width_px, [*rows, *columns]), default=0) + font.size_px // 2
    cell = (page.content_width_px - gutter) // longest
    if not columns or cell < MIN_CELL_PX:
        aspect = len(array) / max(1, array.shape[1])
        return mosaic(array[None, None], row_names=[""], names=[""], aspect=aspect, width_px=width_px, caption=caption)
    cell = min(cell, 4 * font.size_px)
    norm = ColorNorm.sqrt_from_zero(array)
    width, height = cell * len(columns), cell * len(rows)
    left = (page.width_px - width - gutter) // 2 + gutter
    drawing = page.blank(gutter + height)
    drawing.add(Raster(left, gutter, render_panel(array, (width, height), norm)))
    middle = (cell + font.ascent_px - font.descent_px) // 2
    for i, name in enumerate(rows):
        x = left - font.width_px(name) - font.size_px // 3
        drawing.write(x, gutter + i * cell + middle, name, font, INK)
    drawing.add(Placed(left, 0, _column_labels(columns, font, cell, gutter), rotated=True))
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
