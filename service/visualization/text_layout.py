"""Layout of a text and its tokens in lines, as large as fits."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import sqrt
from typing import Final

from service.visualization import bidi
from service.visualization.color_norm import format_value
from service.visualization.font import Font, has_glyph, printable
from service.visualization.line_breaking import GlyphRun, Line, break_lines
from service.visualization.page import Page
from service.visualization.shaping import Character
from service.visualization.token_spans import Token, TokenSpan

BODY_SCALE: Final = 1.25
"""Size of the text relative to the legend's."""

MIN_BODY_PX: Final = 14
"""Smallest font size; text that does not fit even then is left out."""

_SMALL_SCALE: Final = 0.64
_MIN_SMALL_PX: Final = 9
_LINE_HEIGHT: Final = 1.75
"""Line height relative to the font size, and the size of special tokens' marks."""

_MAX_NAME_CODE_POINTS: Final = 24
"""Code points of a special token's name."""

RETURN_SYMBOL: Final = "\u21b5"


class TextLayout:
    """Layout of characters with their spans and special tokens, in `font`; special tokens use `small_font`.

    `pad_px` is the padding of a token's background.
    """

    def __init__(self, characters: Sequence[Character], spans: Sequence[TokenSpan], specials: Mapping[int, list[Token]],
                 *, visible_end: int, size_px: int) -> None:  # fmt: skip
        """Lay out the characters; those from the code point `visible_end` on are quiet."""
        self.font = Font(size_px)
        self.small_font = Font(max(_MIN_SMALL_PX, round(size_px * _SMALL_SCALE)))
        self.pad_px = max(1, size_px // 8)
        self.step_px = round(size_px * _LINE_HEIGHT)
        self._characters = characters
        self._spans = {i: segment for segment in spans for i in range(segment.first, segment.end)}
        self._specials = specials
        self._visible_end = visible_end

    def runs(self) -> Iterator[GlyphRun]:
        """Yield the runs in the order of the text, special tokens between its characters."""
        for i, character in enumerate(self._characters):
            yield from self._special_runs(i)
            yield self._character_run(character, i)
        yield from self._special_runs(len(self._characters))

    def unpadded_px(self, run: GlyphRun) -> int:
        """Return the width of a run without the padding of its background."""
        if run.code:
            return self.font.code_px(run.text)
        return self.font.width_px(run.text) if run.text else run.width_px

    def _special_runs(self, before: int) -> Iterator[GlyphRun]:
        end = self._characters[before - 1].end if before else 0
        for token in self._specials.get(before, ()):
            text = f"{printable(token.text[:_MAX_NAME_CODE_POINTS])} {format_value(token.weight)}"
            width = self.small_font.width_px(text) + 7 * self.pad_px
            yield GlyphRun(text, width, end, end, "ON", special=True, space=True, marked=token.marked)

    def _character_run(self, character: Character, i: int) -> GlyphRun:
        span = self._spans.get(i)
        text, width, code = self._appearance(character, in_span=span is not None)
        if span:
            width += self.pad_px * ((i == span.first) + (i == span.end - 1))
        quiet = character.start >= self._visible_end
        return GlyphRun(
            text,
            width,
            character.start,
            character.end,
            character.direction,
            span,
            code=code,
            space=character.space,
            newline=character.newline,
            muted=quiet,
        )

    def _appearance(self, character: Character, *, in_span: bool) -> tuple[str, int, bool]:
        """Return a character's drawn form, its width, and whether it is a code point. A token's newline is visible."""
        font = self.font
        if character.newline:
            return (RETURN_SYMBOL, font.width_px(RETURN_SYMBOL), False) if in_span else ("", 0, False)
        if character.space:
            return "", font.width_px(" ") * (4 if character.text == "\t" else 1), False
        if has_glyph(character.text[0]):
            return character.text, font.width_px(character.text), False
        return character.text[0], font.code_px(character.text[0]), True


def lay_out_text(
    page: Page,
    characters: Sequence[Character],
    spans: Sequence[TokenSpan],
    specials: Mapping[int, list[Token]],
    *,
    visible_end: int,
) -> tuple[TextLayout, list[Line]]:
    """Lay out the text in the page's own size, or the largest that fits; at the smallest size, keep the first lines."""
    size = round(page.font_px * BODY_SCALE)
    while True:
        layout = TextLayout(characters, spans, specials, visible_end=visible_end, size_px=size)
        lines = _lines(list(layout.runs()), page.content_width_px)
        overflow = len(lines) * layout.step_px / page.max_height_px
        if overflow <= 1 or size <= MIN_BODY_PX:
            return layout, lines[: max(1, page.max_height_px // layout.step_px)]
        size = max(MIN_BODY_PX, int(size / sqrt(overflow) * 0.98))


def _lines(glyphs: Sequence[GlyphRun], max_width_px: int) -> list[Line]:
    """Each paragraph on its own: it is its first letter that says from which side it is read."""
    lines: list[Line] = []
    for _, paragraph in groupby(glyphs, _ParagraphIndex()):
        runs = list(paragraph)
        rtl = bidi.is_right_to_left([one.direction for one in runs])
        lines += [Line(part, rtl) for part in break_lines(runs, max_width_px)]
    return lines


class _ParagraphIndex:
    """Numbers glyphs by the newlines before them."""

    def __init__(self) -> None:
        self._newlines = 0

    def __call__(self, one: GlyphRun) -> int:
        number = self._newlines
        self._newlines += one.newline
        return number
