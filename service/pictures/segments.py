"""Which characters of a text are one token's."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from service.pictures.characters import Character


@dataclass(frozen=True, slots=True)
class Token:
    """From code point `start` to before `end` of the text; equal for what is not of it, such as [CLS].

    `marked` is the token whose attention is shown.
    """

    text: str
    start: int
    end: int
    weight: float
    marked: bool = False

    @property
    def special(self) -> bool:
        return self.start == self.end


@dataclass(frozen=True, slots=True)
class Segment:
    """Characters from the `first` to before the `end`th, shaded as one: tokens that share a character are not told
    apart, and their weights are added.
    """

    first: int
    end: int
    weight: float
    marked: bool


def segments(found: Sequence[Character], tokens: Sequence[Token]) -> list[Segment]:
    """In the order of the text; special tokens are not among them, nor what lies past the last character."""
    starts = [character.start for character in found]
    merged: list[Segment] = []
    for token in sorted((token for token in tokens if not token.special), key=lambda token: (token.start, token.end)):
        first = max(0, bisect_right(starts, token.start) - 1)
        end = bisect_left(starts, token.end)
        if token.start >= (found[-1].end if found else 0):
            continue
        one = Segment(first, end, token.weight, token.marked)
        if merged and one.first < merged[-1].end:
            one = _together(merged.pop(), one)
        merged.append(one)
    return merged


def places(found: Sequence[Character], tokens: Sequence[Token]) -> dict[int, list[Token]]:
    """The special tokens, by the character that they stand before: after the token that comes before them."""
    starts = [character.start for character in found]
    of: dict[int, list[Token]] = {}
    at = 0
    for token in tokens:
        if token.special:
            of.setdefault(at, []).append(token)
        else:
            at = bisect_left(starts, token.end)
    return of


def _together(one: Segment, other: Segment) -> Segment:
    end = max(one.end, other.end)
    return Segment(one.first, end, one.weight + other.weight, one.marked or other.marked)
