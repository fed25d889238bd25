"""The colour map with its least and largest value, and under it what is shown."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from service.pictures.colours import INK, QUIET, colour, ink_on, shade
from service.pictures.page import Page
from service.pictures.scale import Scale, number
from service.pictures.typeface import Typeface


def legend(page: Page, scale: Scale, caption: Sequence[str]) -> list[Image.Image]:
    """Two parts of a page, as wide as it."""
    return [_bar(page, scale), page.note(caption, QUIET)]


def _bar(page: Page, scale: Scale) -> Image.Image:
    """The map from end to end between two numbers, and where it is not linear a third in its middle."""
    face = Typeface(page.type_px)
    height = round(page.type_px * 1.4)
    image = page.blank(height)
    least, largest = number(scale.least), number(scale.largest)
    gap = page.type_px // 2
    left = page.margin_px + face.width_px(least) + gap
    right = page.width_px - page.margin_px - face.width_px(largest) - gap
    row = shade(np.linspace(0, 1, right - left))
    image.paste(Image.fromarray(np.tile(row, (height, 1, 1))), (left, 0))
    draw = ImageDraw.Draw(image)
    middle = number(scale.value(0.5))
    baseline = (height + face.ascent_px - face.descent_px) // 2
    face.write(draw, (page.margin_px, baseline), least, INK)
    face.write(draw, (right + gap, baseline), largest, INK)
    if scale.root:
        face.write(draw, ((left + right - face.width_px(middle)) // 2, baseline), middle, ink_on(colour(0.5)))
    return image
