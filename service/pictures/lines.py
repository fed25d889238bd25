"""Wrapping: what is to be drawn of a text, in lines that fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.pictures.segments import Segment


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What is drawn at a stretch, `width_px` wide: a character, or the mark of a `special` token.

    `end` is the code point of the text after it, `direction` Unicode's, `segment` what it is shaded as. A `code` is
    drawn as its code point; what the model did not see is `quiet`; whose attention it is, if special, is `marked`.
    """

    text: str
    width_px: int
    end: int
    direction: str
    segment: Segment | None = None
    special: bool = False
    code: bool = False
    space: bool = False
    newline: bool = False
    quiet: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """In the order of the text; `rtl` where its paragraph is read from right to left."""

    glyphs: Sequence[Glyphs]
    rtl: bool


def wrapped(paragraph: Sequence[Glyphs], room_px: int) -> Iterator[Sequence[Glyphs]]:
    """A paragraph's lines: broken after spaces where there are any, else where the room ends.

    A space that a line has no room for ends it and is left out.
    """
    line: list[Glyphs] = []
    used = after_space = 0
    for one in paragraph:
        while line and used + one.width_px > room_px:
            at = len(line) if one.space else after_space or len(line)
            yield line[:at]
            line = line[at:]
            used, after_space = sum(kept.width_px for kept in line), 0
            if one.space and not one.special:
                break
        else:
            line.append(one)
            used += one.width_px
            if one.space:
                after_space = len(line)
    if line:
        yield line
