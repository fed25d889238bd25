"""Line breaking."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.visualization.token_spans import TokenSpan


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """Unit of drawing, `width_px` wide: a character, or the mark of a `special` token.

    `start` and `end` are its code points in the text, `direction` is Unicode's, `span` its shade. A `code` is drawn as
    its code point; `muted` text was not seen by the model; a `marked` special token is the one whose attention is
    shown.
    """

    text: str
    width_px: int
    start: int
    end: int
    direction: str
    span: TokenSpan | None = None
    special: bool = False
    code: bool = False
    space: bool = False
    newline: bool = False
    muted: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Runs in the order of the text; `rtl` if the paragraph is read from right to left."""

    runs: Sequence[GlyphRun]
    rtl: bool


def break_lines(paragraph: Sequence[GlyphRun], max_width_px: int) -> Iterator[Sequence[GlyphRun]]:
    """Break a paragraph into lines: after spaces if there are any, else where the line is full.

    A space that a line has no room for ends it and is left out.
    """
    line: list[GlyphRun] = []
    used_px = after_space = 0
    for run in paragraph:
        while line and used_px + run.width_px > max_width_px:
            split = len(line) if run.space else after_space or len(line)
            yield line[:split]
            line = line[split:]
            used_px, after_space = sum(kept.width_px for kept in line), 0
            if run.space and not run.special:
                break
        else:
            line.append(run)
            used_px += run.width_px
            if run.space:
                after_space = len(line)
    if line:
        yield line
