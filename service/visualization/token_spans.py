"""Spans of characters that belong to one token."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from service.visualization.shaping import Character


@dataclass(frozen=True, slots=True)
class Token:
    """Token from code point `start` to before `end` of the text; equal for tokens outside of it, such as [CLS].

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
class TokenSpan:
    """Characters `first` to `end` (exclusive) with one shade; tokens that share a character are merged.

    The weight of merged tokens is their sum.
    """

    first: int
    end: int
    weight: float
    marked: bool


def token_spans(characters: Sequence[Character], tokens: Sequence[Token]) -> list[TokenSpan]:
    """Return the spans in the order of the text, without special tokens and what lies past the last character."""
    starts = [character.start for character in characters]
    merged: list[TokenSpan] = []
    for token in sorted((token for token in tokens if not token.special), key=lambda token: (token.start, token.end)):
        first = max(0, bisect_right(starts, token.start) - 1)
        end = bisect_left(starts, token.end)
        if token.start >= (characters[-1].end if characters else 0):
            continue
        span = TokenSpan(first, end, token.weight, token.marked)
        if merged and span.first < merged[-1].end:
            span = _merge(merged.pop(), span)
        merged.append(span)
    return merged


def special_token_positions(characters: Sequence[Character], tokens: Sequence[Token]) -> dict[int, list[Token]]:
    """Return the special tokens by the character that they precede."""
    starts = [character.start for character in characters]
    by_character: dict[int, list[Token]] = {}
    index = 0
    for token in tokens:
        if token.special:
            by_character.setdefault(index, []).append(token)
        else:
            index = bisect_left(starts, token.end)
    return by_character


def _merge(first: TokenSpan, second: TokenSpan) -> TokenSpan:
    end = max(first.end, second.end)
    return TokenSpan(first.first, end, first.weight + second.weight, first.marked or second.marked)
