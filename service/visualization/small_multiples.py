"""Raw attention as small multiples: a panel for each head of each layer, all on one scale."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.visualization.color_norm import ColorNorm
from service.visualization.colorbar import colorbar
from service.visualization.colormap import MUTED, Floats, apply_colormap
from service.visualization.drawing import Drawing, Raster
from service.visualization.font import Font
from service.visualization.page import Page
from service.visualization.panel_grid import PanelGrid, arrange_panels


def mosaic(
    values: npt.ArrayLike,
    *,
    row_names: Sequence[str],
    names: Sequence[str],
    aspect: float,
    width_px: int,
    caption: Sequence[str],
) -> Drawing:
    """Draw `values` `[rows, columns, y, x]`: matrices, grids or strips, each `shape` times as high as wide.

    Colors follow the square root of the value, from 0. If there are more values than px the largest is shown, so that
    no peak is lost. Raises TooManyPanels.
    """
    page = Page(width_px)
    array = np.asarray(values, dtype=np.float64)
    norm = ColorNorm.sqrt_from_zero(array)
    font = Font(max(10, round(page.font_px * 0.85)))
    panels = arrange_panels(page, row_names, names, aspect, font)
    flat = array.reshape(-1, *array.shape[2:])
    drawing = page.blank(panels.top_px + panels.height_px)
    for (row, column), panel_values in zip(product(range(panels.rows), range(panels.columns)), flat, strict=False):
        drawing.add(Raster(*panels.corner(row, column), render_panel(panel_values, panels.size_px, norm)))
    _draw_names(drawing, panels, font)
    return page.stack([drawing, *colorbar(page, norm, caption)])


def render_panel(values: Floats, size_px: tuple[int, int], norm: ColorNorm) -> Image.Image:
    """`values` `[y, x]` in width and height."""
    width, height = size_px
    return Image.fromarray(apply_colormap(norm.normalize(resample(resample(values, height, 0), width, 1))))


def resample(values: Floats, length: int, axis: int) -> Floats:
    """`length` values along an axis: each repeated, or of several the largest."""
    count = values.shape[axis]
    if length >= count:
        repeated: Floats = np.take(values, (np.arange(length) * count) // length, axis)
        return repeated
    maxima: Floats = np.maximum.reduceat(values, (np.arange(length) * count) // length, axis)
    return maxima


def _draw_names(drawing: Drawing, panels: PanelGrid, font: Font) -> None:
    """Rows to the left, columns over the first row, or each panel over itself: by its number where there is no room."""
    width, height = panels.size_px
    fit = all(font.width_px(name) <= width for name in panels.names)
    for i, name in enumerate(panels.names):
        x, y = panels.corner(*divmod(i, panels.columns))
        label = name if fit else name.rpartition(" ")[2]
        if font.width_px(label) <= width:
            drawing.write(x + (width - font.width_px(label)) // 2, y - font.descent_px, label, font, MUTED)
    if panels.row_names and not fit:
        axis = panels.names[0].partition(" ")[0]
        drawing.write(panels.left_px - font.width_px(axis) - font.size_px // 2, y - font.descent_px, axis, font, MUTED)
    for row, name in enumerate(panels.row_names):
        x, y = panels.corner(row, 0)
        middle = y + (height + font.ascent_px - font.descent_px) // 2
        drawing.write(x - font.width_px(name) - font.size_px // 2, middle, name, font, MUTED)
