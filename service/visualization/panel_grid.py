"""Layout of small multiples: positions and labels of panels of one shape on a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from service.visualization.font import Font
from service.visualization.page import Page

MIN_PANEL_PX: Final = 6
"""Minimum width and height of a panel."""

MAX_PANELS: Final = 2_000
"""Maximum panels on a page; more would take seconds to draw."""


class TooManyPanels(ValueError):
    """More panels than fit legibly on a page."""


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """Panels `[rows, columns]` of `size_px` (width, height) from `left_px`, `top_px` on, a step apart.

    `names` label the panels of each row if there is one for each panel, else the first row.
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
        """Return the upper left corner of a panel."""
        return self.left_px + column * self.step_px[0], self.top_px + row * self.step_px[1]


def arrange_panels(page: Page, row_names: Sequence[str], names: Sequence[str], aspect: float, font: Font) -> PanelGrid:
    """Arrange a row for each of `row_names`, a column for each of `names`; `aspect` is a panel's height over its width.

    A single row or column is laid out as lines of text are. Raises TooManyPanels.
    """
    if 1 in (len(row_names), len(names)):
        return _arrange_flow(page, names if len(row_names) == 1 else row_names, aspect, font)
    gutter = max(map(font.width_px, row_names)) + font.size_px // 2
    return _arrange_grid(page, len(row_names), len(names), aspect, gutter, font, row_names=row_names, names=names)


def _arrange_flow(page: Page, names: Sequence[str], aspect: float, font: Font) -> PanelGrid:
    columns = min(len(names), ceil(sqrt(len(names) * max(aspect, 0.25))))
    return _arrange_grid(page, ceil(len(names) / columns), columns, aspect, 0, font, row_names=(), names=names)


def _arrange_grid(
    page: Page, rows: int, columns: int, aspect: float, gutter: int, font: Font, *, row_names: Sequence[str],
    names: Sequence[str],
) -> PanelGrid:  # fmt: skip
    gap = max(2, page.width_px // 200)
    label_px = round(font.size_px * 1.4)
    row_label_px = 0 if row_names else label_px
    available_width = (page.content_width_px - gutter) / columns - gap
    available_height = (page.max_height_px - label_px) / rows - gap - row_label_px
    width = int(min(available_width, available_height / aspect))
    height = int(width * aspect)
    if min(width, height) < MIN_PANEL_PX or rows * columns > MAX_PANELS:
        raise TooManyPanels(f"{rows * columns} panels do not fit on an image {page.width_px} px wide")
    left = page.margin_px + gutter + int(max(0, (available_width - width) * columns / 2))
    return PanelGrid(
        rows, columns, (width, height), left, label_px, (width + gap, height + gap + row_label_px), row_names, names
    )
