"""Text heat map: each token on its weight's color."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from PIL import Image, ImageDraw

from service.visualization import bidi
from service.visualization.color_norm import ColorNorm
from service.visualization.colorbar import colorbar
from service.visualization.colormap import BACKGROUND, INK, MUTED, Color, color_at, contrasting_ink
from service.visualization.line_breaking import GlyphRun, Line
from service.visualization.page import Page
from service.visualization.shaping import split_characters
from service.visualization.text_layout import TextLayout, lay_out_text
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
) -> Image.Image:
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
    parts = [_TextPainter(page, layout, norm, len(lines)).paint(lines), *colorbar(page, norm, caption)]
    drawn_end = max((one.end for line in lines for one in line.runs), default=0)
    if drawn_end < len(text):
        reason = "not read by the model" if drawn_end >= visible_end else "omitted for lack of space"
        parts.insert(1, page.text_block([f"\u2026 {len(text) - drawn_end:,} more characters, {reason}"], MUTED))
    return page.stack(parts)


class _TextPainter:
    def __init__(self, page: Page, layout: TextLayout, norm: ColorNorm, lines: int) -> None:
        self._page = page
        self._layout = layout
        self._norm = norm
        self._image = page.blank(layout.step_px * lines)
        self._draw = ImageDraw.Draw(self._image)

    def paint(self, lines: Sequence[Line]) -> Image.Image:
        for i, line in enumerate(lines):
            self._paint_line(line, round((i + _BASELINE_FRACTION) * self._layout.step_px))
        return self._image

    def _paint_line(self, line: Line, baseline: int) -> None:
        """From left to right, whichever way it is read."""
        levels = bidi.bidi_levels([one.direction for one in line.runs], rtl=line.rtl)
        visual_runs = [_mirror(line.runs[i]) if levels[i] % 2 else line.runs[i] for i in bidi.visual_order(levels)]
        x = self._page.margin_px
        if line.rtl:
            x += max(0, self._page.content_width_px - sum(one.width_px for one in visual_runs))
        for span, span_runs in groupby(visual_runs, key=lambda one: one.span):
            if span is None:
                x = self._paint_plain((x, baseline), list(span_runs))
            else:
                x = self._paint_span((x, baseline), list(span_runs), span)

    def _paint_plain(self, position: Point, runs: Sequence[GlyphRun]) -> int:
        """Draw text that no token covers. Returns its end."""
        x, y = position
        for run in runs:
            if run.special:
                self._paint_special((x, y), run)
            else:
                self._paint_run((x, y), run, MUTED if run.muted else INK)
            x += run.width_px
        return x

    def _paint_span(self, position: Point, runs: Sequence[GlyphRun], span: TokenSpan) -> int:
        """Draw the runs of one token on its ground. Returns their end."""
        x, y = position
        font, pad, line = self._layout.font, self._layout.pad_px, self._page.line_px
        background = color_at(float(self._norm.normalize(span.weight)))
        ink = contrasting_ink(background)
        end = x + sum(map(self._layout.unpadded_px, runs)) + 2 * pad
        box = (x, y - font.ascent_px - pad, end - 1 - line, y + font.descent_px + pad)
        if span.marked:
            for margin, ring in ((3 * line, INK), (line, BACKGROUND)):
                ring_box = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
                self._draw.rounded_rectangle(ring_box, radius=2 * pad + margin, fill=ring)
        self._draw.rounded_rectangle(box, radius=2 * pad, fill=background)
        x += pad
        for run in runs:
            self._paint_run((x, y), run, ink)
            x += self._layout.unpadded_px(run)
        return end

    def _paint_special(self, position: Point, run: GlyphRun) -> None:
        x, y = position
        small, pad, line = self._layout.small_font, self._layout.pad_px, self._page.line_px
        box = (x + pad, y - small.ascent_px - pad, x + run.width_px - 2 * pad - 1, y + small.descent_px + pad)
        outline, width = (INK, 2 * line) if run.marked else (MUTED, line)
        self._draw.rounded_rectangle(box, radius=2 * pad, outline=outline, width=width)
        small.write(self._draw, (x + 3 * pad, y), run.text, MUTED)

    def _paint_run(self, position: Point, run: GlyphRun, ink: Color) -> None:
        if run.code:
            self._layout.font.write_code(self._draw, position, run.text, ink)
        elif run.text:
            self._layout.font.write(self._draw, position, run.text, ink)


def _mirror(run: GlyphRun) -> GlyphRun:
    return replace(run, text=bidi.MIRRORED[run.text]) if run.text in bidi.MIRRORED else run
