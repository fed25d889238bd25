"""Text heat map: each token on its weight's color."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from service.visualization import bidi
from service.visualization.color_norm import ColorNorm, format_value
from service.visualization.colorbar import colorbar
from service.visualization.colormap import BACKGROUND, INK, MUTED, Color, color_at, contrasting_ink
from service.visualization.drawing import Drawing, Glyphs, Rectangle, Text
from service.visualization.line_breaking import GlyphRun, Line
from service.visualization.page import Page
from service.visualization.shaping import NEWLINES, split_characters
from service.visualization.text_layout import RETURN_SYMBOL, TextLayout, lay_out_text
from service.visualization.token_spans import Token, TokenSpan, special_token_positions, token_spans

MAX_CHARACTERS: Final = 20_000
"""Maximum characters laid out: one or two seconds."""

MAX_UNSEEN_CHARACTERS: Final = 240
"""Maximum code points shown of text that the model did not see."""

_BASELINE_FRACTION: Final = 0.68
"""Baseline as a fraction of a line's height."""

Point = tuple[int, int]


def text_heatmap(
    text: str, tokens: Sequence[Token], *, width_px: int, caption: Sequence[str], truncated: bool
) -> Drawing:
    """Draw a text with its tokens shaded; `truncated`: the model saw nothing past the last of the tokens.

    Special tokens are small marks with their weights; the scale is that of the others.
    """
    page = Page(width_px)
    visible_end = max((token.end for token in tokens), default=0) if truncated else len(text)
    characters = split_characters(text[: min(visible_end + MAX_UNSEEN_CHARACTERS, MAX_CHARACTERS)])
    spans = token_spans(characters, tokens)
    norm = ColorNorm.from_values([one.weight for one in spans] or [token.weight for token in tokens])
    layout, lines = lay_out_text(
        page, characters, spans, special_token_positions(characters, tokens), visible_end=visible_end
    )
    parts = [_TextPainter(page, text, layout, norm).paint(lines), *colorbar(page, norm, caption)]
    drawn_end = max((one.end for line in lines for one in line.runs), default=0)
    if drawn_end < len(text):
        reason = "not read by the model" if drawn_end >= visible_end else "omitted for lack of space"
        parts.insert(1, page.text_block([f"\u2026 {len(text) - drawn_end:,} more characters, {reason}"], MUTED))
    return page.stack(parts)


class VisualRun(NamedTuple):
    """Run in its place on a line, and whether it is read from right to left."""

    run: GlyphRun
    rtl: bool


class _TextPainter:
    def __init__(self, page: Page, text: str, layout: TextLayout, norm: ColorNorm) -> None:
        self._page = page
        self._text = text
        self._layout = layout
        self._norm = norm

    def paint(self, lines: Sequence[Line]) -> Drawing:
        self._drawing = self._page.blank(self._layout.step_px * len(lines))
        for i, line in enumerate(lines):
            self._paint_line(line, round((i + _BASELINE_FRACTION) * self._layout.step_px))
        return self._drawing

    def _paint_line(self, line: Line, baseline: int) -> None:
        """Draw a line from left to right, whichever way it is read."""
        levels = bidi.bidi_levels([one.direction for one in line.runs], rtl=line.rtl)
        runs = [VisualRun(line.runs[i], rtl=levels[i] % 2 == 1) for i in bidi.visual_order(levels)]
        x = self._page.margin_px
        if line.rtl:
            x += max(0, self._page.content_width_px - sum(one.run.width_px for one in runs))
        for span, span_runs in groupby(runs, key=lambda one: one.run.span):
            if span is None:
                x = self._paint_plain((x, baseline), list(span_runs))
            else:
                x = self._paint_span((x, baseline), list(span_runs), span)

    def _paint_plain(self, position: Point, runs: Sequence[VisualRun]) -> int:
        """Draw text that no token covers. Returns its end."""
        x, y = position
        for (special, muted), part in groupby(runs, key=lambda one: (one.run.special, one.run.muted)):
            plain = list(part)
            if special:
                for one in plain:
                    self._paint_special((x, y), one.run)
                    x += one.run.width_px
            else:
                x = self._paint_text((x, y), plain, MUTED if muted else INK)
        return x

    def _paint_span(self, position: Point, runs: Sequence[VisualRun], span: TokenSpan) -> int:
        """Draw the runs of one token on its background. Returns their end."""
        x, y = position
        font, pad, line = self._layout.font, self._layout.pad_px, self._page.line_px
        background = color_at(float(self._norm.normalize(span.weight)))
        end = x + sum(self._layout.unpadded_px(one.run) for one in runs) + 2 * pad
        box = (x, y - font.ascent_px - pad, end - line, y + font.descent_px + pad + 1)
        if span.marked:
            for margin, ring in ((3 * line, INK), (line, BACKGROUND)):
                ring_box = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
                self._drawing.add(Rectangle(ring_box, fill=ring, radius_px=2 * pad + margin))
        self._drawing.add(Rectangle(box, fill=background, radius_px=2 * pad, title=format_value(span.weight)))
        self._paint_text((x + pad, y), runs, contrasting_ink(background))
        return end

    def _paint_special(self, position: Point, run: GlyphRun) -> None:
        x, y = position
        small, pad, line = self._layout.small_font, self._layout.pad_px, self._page.line_px
        box = (x + pad, y - small.ascent_px - pad, x + run.width_px - 2 * pad, y + small.descent_px + pad + 1)
        outline, width = (INK, 2 * line) if run.marked else (MUTED, line)
        self._drawing.add(Rectangle(box, outline=outline, line_px=width, radius_px=2 * pad))
        self._drawing.write(x + 3 * pad, y, run.text, small, MUTED)

    def _paint_text(self, position: Point, runs: Sequence[VisualRun], ink: Color) -> int:
        """Draw runs without a background, a text for each direction. Returns their end."""
        x, y = position
        for rtl, part in groupby(runs, key=lambda one: one.rtl):
            directed = [one.run for one in part]
            glyphs, width = [], 0
            for run in directed:
                if run.text:
                    glyphs.append(Glyphs(width, _mirrored(run.text) if rtl else run.text, run.code))
                width += self._layout.unpadded_px(run)
            written = self._text[min(run.start for run in directed) : max(run.end for run in directed)]
            if glyphs:
                self._drawing.add(Text(x, y, glyphs, _visible(written), width, self._layout.font, ink, rtl))
            x += width
        return x


def _mirrored(character: str) -> str:
    return bidi.MIRRORED.get(character, character)


def _visible(written: str) -> str:
    """Replace newlines within a token by their symbol, and other white space by blanks."""
    return "".join(RETURN_SYMBOL if c in NEWLINES else " " if c.isspace() else c for c in written)
