"""Colorbar with minimum and maximum, and a caption."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from service.visualization.color_norm import ColorNorm, format_value
from service.visualization.colormap import INK, MUTED, apply_colormap, color_at, contrasting_ink
from service.visualization.drawing import Drawing, Raster
from service.visualization.font import Font
from service.visualization.page import Page


def colorbar(page: Page, norm: ColorNorm, caption: Sequence[str]) -> list[Drawing]:
    """Return the colorbar and the caption, each as wide as the page."""
    return [_bar(page, norm), page.text_block(caption, MUTED)]


def _bar(page: Page, norm: ColorNorm) -> Drawing:
    """Draw the colormap between two numbers, with a third in the middle if it is not linear."""
    font = Font(page.font_px)
    height = round(page.font_px * 1.4)
    bar = page.blank(height)
    low, high = format_value(norm.vmin), format_value(norm.vmax)
    gap = page.font_px // 2
    left = page.margin_px + font.width_px(low) + gap
    right = page.width_px - page.margin_px - font.width_px(high) - gap
    row = apply_colormap(np.linspace(0, 1, right - left))
    bar.add(Raster(left, 0, Image.fromarray(np.tile(row, (height, 1, 1)))))
    middle = format_value(norm.inverse(0.5))
    baseline = (height + font.ascent_px - font.descent_px) // 2
    bar.write(page.margin_px, baseline, low, font, INK)
    bar.write(right + gap, baseline, high, font, INK)
    if norm.sqrt:
        bar.write((left + right - font.width_px(middle)) // 2, baseline, middle, font, contrasting_ink(color_at(0.5)))
    return bar
