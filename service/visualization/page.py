"""Page layout: width, measures, and blocks stacked vertically."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.visualization.colormap import INK, Color
from service.visualization.drawing import Drawing, Placed
from service.visualization.font import Font, printable

MIN_WIDTH_PX: Final = 200
MAX_WIDTH_PX: Final = 4_096
MAX_PAGE_PIXELS: Final = 24_000_000
"""Maximum pixels above the legend: 72 MB, and about a second to compress."""

_MIN_FONT_PX: Final = 12


@dataclass(frozen=True, slots=True)
class Page:
    """`width_px` wide; type, lines and margins grow with it."""

    width_px: int

    @property
    def font_px(self) -> int:
        return max(_MIN_FONT_PX, round(self.width_px * 0.02))

    @property
    def line_px(self) -> int:
        """Thickness of a line."""
        return max(1, round(self.width_px / 500))

    @property
    def margin_px(self) -> int:
        return max(8, round(self.width_px * 0.02))

    @property
    def content_width_px(self) -> int:
        """Width between the margins."""
        return self.width_px - 2 * self.margin_px

    @property
    def max_height_px(self) -> int:
        """Maximum height above the legend."""
        return MAX_PAGE_PIXELS // self.width_px

    def blank(self, height_px: int) -> Drawing:
        return Drawing(self.width_px, height_px)

    def text_block(self, lines: Sequence[str], ink: Color = INK) -> Drawing:
        """Draw a few lines of text, broken between words where they are wider than the page."""
        font = Font(self.font_px)
        wrapped = [part for line in lines for part in _wrap_words(printable(line), font, self.content_width_px)]
        step = round(self.font_px * 1.45)
        block = self.blank(step * len(wrapped))
        for i, line in enumerate(wrapped):
            block.write(self.margin_px, i * step + self.font_px, line, font, ink)
        return block

    def stack(self, parts: Sequence[Drawing]) -> Drawing:
        """Stack the parts vertically, centered, with margins."""
        gap = self.margin_px
        stacked = self.blank(sum(part.height for part in parts) + gap * (len(parts) + 1))
        top = gap
        for part in parts:
            stacked.add(Placed((self.width_px - part.width) // 2, top, part))
            top += part.height + gap
        return stacked


def _wrap_words(line: str, font: Font, max_width_px: int) -> list[str]:
    lines = [""]
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and font.width_px(longer) > max_width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
