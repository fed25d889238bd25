"""A page: how wide it is, and the measures that follow from that. Pictures stand on it one under the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw

from service.pictures.colours import INK, PAGE, Colour
from service.pictures.typeface import Typeface, spelled

LEAST_WIDTH_PX: Final = 200
MOST_WIDTH_PX: Final = 4_096
MOST_PIXELS: Final = 24_000_000
"""Of what is drawn above a legend: 72 MB, and about a second to compress."""

_LEAST_TYPE_PX: Final = 12


@dataclass(frozen=True, slots=True)
class Page:
    """`width_px` wide; type, lines and margins grow with it."""

    width_px: int

    @property
    def type_px(self) -> int:
        return max(_LEAST_TYPE_PX, round(self.width_px * 0.02))

    @property
    def line_px(self) -> int:
        """Thickness of a line."""
        return max(1, round(self.width_px / 500))

    @property
    def margin_px(self) -> int:
        return max(8, round(self.width_px * 0.02))

    @property
    def room_px(self) -> int:
        """Width between the margins."""
        return self.width_px - 2 * self.margin_px

    @property
    def most_height_px(self) -> int:
        """Of what is drawn above the legend."""
        return MOST_PIXELS // self.width_px

    def blank(self, height_px: int) -> Image.Image:
        return Image.new("RGB", (self.width_px, height_px), PAGE)

    def note(self, lines: Sequence[str], ink: Colour = INK) -> Image.Image:
        """A few lines of text, broken between words where they are longer than the page is wide."""
        face = Typeface(self.type_px)
        broken = [part for line in lines for part in _broken(spelled(line), face, self.room_px)]
        step = round(self.type_px * 1.45)
        image = self.blank(step * len(broken))
        draw = ImageDraw.Draw(image)
        for i, line in enumerate(broken):
            face.write(draw, (self.margin_px, i * step + self.type_px), line, ink)
        return image

    def stack(self, parts: Sequence[Image.Image]) -> Image.Image:
        """One under the other, in the middle of the page, with margins around."""
        gap = self.margin_px
        image = self.blank(sum(part.height for part in parts) + gap * (len(parts) + 1))
        top = gap
        for part in parts:
            image.paste(part, ((self.width_px - part.width) // 2, top))
            top += part.height + gap
        return image


def png(image: Image.Image) -> bytes:
    """The file."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _broken(line: str, face: Typeface, room_px: int) -> list[str]:
    found = [""]
    for word in line.split(" "):
        longer = f"{found[-1]} {word}" if found[-1] else word
        if found[-1] and face.width_px(longer) > room_px:
            found.append(word)
        else:
            found[-1] = longer
    return found
