"""A text with each token on its weight's colour."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from PIL import Image, ImageDraw

from service.pictures import order
from service.pictures.characters import characters
from service.pictures.colours import INK, PAGE, QUIET, Colour, colour, ink_on
from service.pictures.legend import legend
from service.pictures.lines import Glyphs, Line
from service.pictures.page import Page
from service.pictures.scale import Scale
from service.pictures.segments import Segment, Token, places, segments
from service.pictures.typeset import Typeset, typeset

MOST_CHARACTERS: Final = 20_000
"""That are set: one or two seconds."""

UNSEEN: Final = 240
"""Code points of what a model did not see, that are shown of it."""

_BASELINE: Final = 0.68
"""Of a line's height."""

Place = tuple[int, int]


def shaded_text(
    text: str, tokens: Sequence[Token], *, width_px: int, caption: Sequence[str], truncated: bool
) -> Image.Image:
    """`truncated` says that the model saw nothing past the last of the tokens.

    Where special tokens stand there are small marks with their weights; the scale is that of the others.
    """
    page = Page(width_px)
    seen = max((token.end for token in tokens), default=0) if truncated else len(text)
    found = characters(text[: min(seen + UNSEEN, MOST_CHARACTERS)])
    shaded = segments(found, tokens)
    scale = Scale.of([one.weight for one in shaded] or [token.weight for token in tokens])
    made, lines = typeset(page, found, shaded, places(found, tokens), seen=seen)
    parts = [_Drawing(page, made, scale, len(lines)).drawn(lines), *legend(page, scale, caption)]
    shown = max((one.end for line in lines for one in line.glyphs), default=0)
    if shown < len(text):
        told = "not seen by the model" if shown >= seen else "for which there is no room"
        parts.insert(1, page.note([f"\u2026 {len(text) - shown:,} more characters, {told}"], QUIET))
    return page.stack(parts)


class _Drawing:
    def __init__(self, page: Page, made: Typeset, scale: Scale, lines: int) -> None:
        self._page = page
        self._made = made
        self._scale = scale
        self._image = page.blank(made.step_px * lines)
        self._draw = ImageDraw.Draw(self._image)

    def drawn(self, lines: Sequence[Line]) -> Image.Image:
        for i, line in enumerate(lines):
            self._line(line, round((i + _BASELINE) * self._made.step_px))
        return self._image

    def _line(self, line: Line, baseline: int) -> None:
        """From left to right, whichever way it is read."""
        levels = order.levels([one.direction for one in line.glyphs], rtl=line.rtl)
        turned = [_mirrored(line.glyphs[i]) if levels[i] % 2 else line.glyphs[i] for i in order.visual(levels)]
        x = self._page.margin_px
        if line.rtl:
            x += max(0, self._page.room_px - sum(one.width_px for one in turned))
        for segment, run in groupby(turned, key=lambda one: one.segment):
            if segment is None:
                x = self._plain((x, baseline), list(run))
            else:
                x = self._shaded((x, baseline), list(run), segment)

    def _plain(self, at: Place, run: Sequence[Glyphs]) -> int:
        """What no token covers. Returns where it ends."""
        x, y = at
        for one in run:
            if one.special:
                self._special((x, y), one)
            else:
                self._glyph((x, y), one, QUIET if one.quiet else INK)
            x += one.width_px
        return x

    def _shaded(self, at: Place, run: Sequence[Glyphs], segment: Segment) -> int:
        """What stands side by side of one token, on its ground. Returns where that ends."""
        x, y = at
        face, pad, line = self._made.face, self._made.pad_px, self._page.line_px
        ground = colour(float(self._scale.places(segment.weight)))
        ink = ink_on(ground)
        end = x + sum(map(self._made.bare_px, run)) + 2 * pad
        box = (x, y - face.ascent_px - pad, end - 1 - line, y + face.descent_px + pad)
        if segment.marked:
            for beyond, ring in ((3 * line, INK), (line, PAGE)):
                wider = (box[0] - beyond, box[1] - beyond, box[2] + beyond, box[3] + beyond)
                self._draw.rounded_rectangle(wider, radius=2 * pad + beyond, fill=ring)
        self._draw.rounded_rectangle(box, radius=2 * pad, fill=ground)
        x += pad
        for one in run:
            self._glyph((x, y), one, ink)
            x += self._made.bare_px(one)
        return end

    def _special(self, at: Place, one: Glyphs) -> None:
        x, y = at
        small, pad, line = self._made.small, self._made.pad_px, self._page.line_px
        box = (x + pad, y - small.ascent_px - pad, x + one.width_px - 2 * pad - 1, y + small.descent_px + pad)
        outline, width = (INK, 2 * line) if one.marked else (QUIET, line)
        self._draw.rounded_rectangle(box, radius=2 * pad, outline=outline, width=width)
        small.write(self._draw, (x + 3 * pad, y), one.text, QUIET)

    def _glyph(self, at: Place, one: Glyphs, ink: Colour) -> None:
        if one.code:
            self._made.face.write_code(self._draw, at, one.text, ink)
        elif one.text:
            self._made.face.write(self._draw, at, one.text, ink)


def _mirrored(one: Glyphs) -> Glyphs:
    return replace(one, text=order.MIRRORED[one.text]) if one.text in order.MIRRORED else one
