"""Small multiples: where so many panels of one shape stand on a page, and what is written beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from service.pictures.page import Page
from service.pictures.typeface import Typeface

LEAST_PX: Final = 6
"""Least width and height of a panel."""

MOST: Final = 2_000
"""Panels of a page: what more would take seconds to draw."""


class TooManyPanels(ValueError):
    """They would be too small to see."""


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels `[rows, columns]` of `size_px` (width, height) from `left_px`, `top_px` on, a step apart.

    `names` are written over the panels of each row where there is one for each of them, else over the first row.
    """

    rows: int
    columns: int
    size_px: tuple[int, int]
    left_px: int
    top_px: int
    step_px: tuple[int, int]
    row_names: Sequence[str]
    names: Sequence[str]

    @property
    def height_px(self) -> int:
        return (self.rows - 1) * self.step_px[1] + self.size_px[1]

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Of a panel, its upper left."""
        return self.left_px + column * self.step_px[0], self.top_px + row * self.step_px[1]


def table(page: Page, row_names: Sequence[str], names: Sequence[str], shape: float, face: Typeface) -> Panels:
    """A row for each of `row_names`, a column for each of `names`; `shape` is a panel's height over its width.

    A single row or column is laid out as lines of text are. Raises TooManyPanels.
    """
    if 1 in (len(row_names), len(names)):
        return _flow(page, names if len(row_names) == 1 else row_names, shape, face)
    gutter = max(map(face.width_px, row_names)) + face.size_px // 2
    return _laid(page, len(row_names), len(names), shape, gutter, face, row_names=row_names, names=names)


def _flow(page: Page, names: Sequence[str], shape: float, face: Typeface) -> Panels:
    columns = min(len(names), ceil(sqrt(len(names) * max(shape, 0.25))))
    return _laid(page, ceil(len(names) / columns), columns, shape, 0, face, row_names=(), names=names)


def _laid(
    page: Page, rows: int, columns: int, shape: float, gutter: int, face: Typeface, *, row_names: Sequence[str],
    names: Sequence[str],
) -> Panels:  # fmt: skip
    gap = max(2, page.width_px // 200)
    over = round(face.size_px * 1.4)
    each = 0 if row_names else over
    across = (page.room_px - gutter) / columns - gap
    down = (page.most_height_px - over) / rows - gap - each
    width = int(min(across, down / shape))
    height = int(width * shape)
    if min(width, height) < LEAST_PX or rows * columns > MOST:
        raise TooManyPanels(f"{rows * columns} panels have no room on a picture {page.width_px} px wide")
    left = page.margin_px + gutter + int(max(0, (across - width) * columns / 2))
    return Panels(rows, columns, (width, height), left, over, (width + gap, height + gap + each), row_names, names)
