"""A text and its tokens set in type: as large as there is room for, in lines."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import sqrt
from typing import Final

from service.pictures import order
from service.pictures.characters import Character
from service.pictures.lines import Glyphs, Line, wrapped
from service.pictures.page import Page
from service.pictures.scale import number
from service.pictures.segments import Segment, Token
from service.pictures.typeface import Typeface, has_glyph, spelled

BODY: Final = 1.25
"""Size of the text over that of its legend."""

LEAST_BODY_PX: Final = 14
"""A text that has no room in a larger type is set so small; what has none even then is left out."""

_SMALL: Final = 0.64
_LEAST_SMALL_PX: Final = 9
_LINE: Final = 1.75
"""Of the size of the text: marks of special tokens, and from line to line."""

_MOST_NAME: Final = 24
"""Code points of a special token's name."""

_RETURN: Final = "\u21b5"


class Typeset:
    """`found` with its segments and special tokens, in type of `face` and, for the latter's marks, `small`.

    `pad_px` is what a token's ground has beside and above its text.
    """

    def __init__(self, found: Sequence[Character], shaded: Sequence[Segment], specials: Mapping[int, list[Token]],
                 *, seen: int, size_px: int) -> None:  # fmt: skip
        """What begins at the code point `seen` or after it is quiet."""
        self.face = Typeface(size_px)
        self.small = Typeface(max(_LEAST_SMALL_PX, round(size_px * _SMALL)))
        self.pad_px = max(1, size_px // 8)
        self.step_px = round(size_px * _LINE)
        self._found = found
        self._segments = {i: segment for segment in shaded for i in range(segment.first, segment.end)}
        self._specials = specials
        self._seen = seen

    def glyphs(self) -> Iterator[Glyphs]:
        """In the order of the text, special tokens between its characters."""
        for i, one in enumerate(self._found):
            yield from self._marks(i)
            yield self._glyph(one, i)
        yield from self._marks(len(self._found))

    def bare_px(self, one: Glyphs) -> int:
        """Its width without what a token's ground has beside it."""
        if one.code:
            return self.face.code_px(one.text)
        return self.face.width_px(one.text) if one.text else one.width_px

    def _marks(self, before: int) -> Iterator[Glyphs]:
        end = self._found[before - 1].end if before else 0
        for token in self._specials.get(before, ()):
            text = f"{spelled(token.text[:_MOST_NAME])} {number(token.weight)}"
            width = self.small.width_px(text) + 7 * self.pad_px
            yield Glyphs(text, width, end, "ON", special=True, space=True, marked=token.marked)

    def _glyph(self, one: Character, i: int) -> Glyphs:
        segment = self._segments.get(i)
        text, width, code = self._look(one, shaded=segment is not None)
        if segment:
            width += self.pad_px * ((i == segment.first) + (i == segment.end - 1))
        quiet = one.start >= self._seen
        return Glyphs(
            text, width, one.end, one.direction, segment, code=code, space=one.space, newline=one.newline, quiet=quiet
        )

    def _look(self, one: Character, *, shaded: bool) -> tuple[str, int, bool]:
        """What is drawn of it, how wide, and whether as a code point. A newline is seen where it is a token's."""
        face = self.face
        if one.newline:
            return (_RETURN, face.width_px(_RETURN), False) if shaded else ("", 0, False)
        if one.space:
            return "", face.width_px(" ") * (4 if one.text == "\t" else 1), False
        if has_glyph(one.text[0]):
            return one.text, face.width_px(one.text), False
        return one.text[0], face.code_px(one.text[0]), True


def typeset(page: Page, found: Sequence[Character], shaded: Sequence[Segment], specials: Mapping[int, list[Token]],
            *, seen: int) -> tuple[Typeset, list[Line]]:  # fmt: skip
    """In the page's own size, or the largest that it has room for; of what still has none, the first lines."""
    size = round(page.type_px * BODY)
    while True:
        made = Typeset(found, shaded, specials, seen=seen, size_px=size)
        lines = _lines(list(made.glyphs()), page.room_px)
        over = len(lines) * made.step_px / page.most_height_px
        if over <= 1 or size <= LEAST_BODY_PX:
            return made, lines[: max(1, page.most_height_px // made.step_px)]
        size = max(LEAST_BODY_PX, int(size / sqrt(over) * 0.98))


def _lines(glyphs: Sequence[Glyphs], room_px: int) -> list[Line]:
    """Each paragraph on its own: it is its first letter that says from which side it is read."""
    lines: list[Line] = []
    for _, paragraph in groupby(glyphs, _Ended()):
        found = list(paragraph)
        rtl = order.right_to_left([one.direction for one in found])
        lines += [Line(part, rtl) for part in wrapped(found, room_px)]
    return lines


class _Ended:
    """Numbers glyphs by the newlines before them."""

    def __init__(self) -> None:
        self._newlines = 0

    def __call__(self, one: Glyphs) -> int:
        number = self._newlines
        self._newlines += one.newline
        return number
