"""Font: DejaVu Sans, included in this package, at one size. Characters are drawn in the given order, without shaping.

Pillow's basic layout is used, not Raqm, which needs a system library: images must be the same on every system.
"""

from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from threading import Lock
from typing import Final

from PIL import ImageDraw, ImageFont

from service.visualization.colormap import Color

FONT_FILE = "DejaVuSans.ttf"

_MISSING_CHARACTER: Final = "\U0010ffff"
_PROBE_PX: Final = 16
_PROBE_LOCK: Final = Lock()

CODE_DIGIT_SCALE: Final = 0.5
"""Size of a code point's digits, relative to the font size."""


class Font:
    """Font at `size_px`. Each image has its own: a FreeType face must not be shared between threads."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self.line_px = max(1, round(size_px / 16))
        self._font = _load_font(size_px)
        self._digits = _load_font(max(6, round(size_px * CODE_DIGIT_SCALE)))
        self._widths: dict[str, int] = {}
        self._digits_px = round(self._digits.getlength("0"))

    @property
    def ascent_px(self) -> int:
        return round(self.size_px * 0.93)

    @property
    def descent_px(self) -> int:
        return round(self.size_px * 0.24)

    def width_px(self, text: str) -> int:
        """Return the width of a character with its marks, or of a word."""
        if text not in self._widths:
            self._widths[text] = round(self._font.getlength(text))
        return self._widths[text]

    def code_px(self, character: str) -> int:
        """Return the width of a character's code point in its box."""
        return len(_code_rows(character)[0]) * self._digits_px + 6 * self.line_px

    def write(self, draw: ImageDraw.ImageDraw, position: tuple[int, int], text: str, ink: Color) -> None:
        """Draw `text` from `position` on the baseline."""
        draw.text(position, text, font=self._font, fill=ink, anchor="ls")

    def write_code(self, draw: ImageDraw.ImageDraw, position: tuple[int, int], character: str, ink: Color) -> None:
        """Draw a character's code point, in two rows in a small box, where there is no glyph for it."""
        x, y = position
        line = self.line_px
        box = (x + line, y - self.ascent_px + 2 * line, x + self.code_px(character) - 1 - line, y + self.descent_px)
        draw.rectangle(box, outline=ink, width=line)
        upper, lower = _code_rows(character)
        middle = (box[1] + box[3]) // 2
        for row, top in ((upper, middle - line), (lower, box[3] - 2 * line)):
            draw.text((x + 3 * line, top), row, font=self._digits, fill=ink, anchor="ls")


def printable(text: str) -> str:
    """Replace characters without a glyph by U+ and their code point, for labels."""
    return "".join(character if has_glyph(character) else f"U+{ord(character):04X}" for character in text)


@lru_cache(maxsize=65_536)
def has_glyph(character: str) -> bool:
    """Return True if the font has a glyph for that character."""
    return character.isprintable() and _glyph_mask(character) != _glyph_mask(_MISSING_CHARACTER)


@cache
def _font_bytes() -> bytes:
    return files(__package__).joinpath(FONT_FILE).read_bytes()


def _load_font(size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(BytesIO(_font_bytes()), size_px, layout_engine=ImageFont.Layout.BASIC)


def _glyph_mask(character: str) -> bytes:
    with _PROBE_LOCK:
        return bytes(_probe_font().getmask(character))


@cache
def _probe_font() -> ImageFont.FreeTypeFont:
    return _load_font(_PROBE_PX)


def _code_rows(character: str) -> tuple[str, str]:
    digits = f"{ord(character):04X}"
    digits = digits.rjust(len(digits) + len(digits) % 2, "0")
    return digits[: len(digits) // 2], digits[len(digits) // 2 :]
