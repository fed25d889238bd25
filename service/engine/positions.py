"""Positions that a request names: indices, or spans of characters in a text or in one text of a pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.artifact.arrays import Ints
from models.preprocess.model_input import ModelInput, TokenizedText, WordOffsets


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Tokens of one text: all of them, or those that share a character with `start` to before `end`, in code points.

    `input` is which text of a pair; 0 where there is one.
    """

    input: int = 0
    start: int | None = None
    end: int | None = None

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether a token shares a character with the span; special tokens, which have none, do not."""
        return start < end and end > (self.start or 0) and (self.end is None or start < self.end)


Positions = tuple[int, ...] | TextSpan


class PositionError(ValueError):
    """Positions that an input does not have; the message is for a person."""


def resolve_positions(positions: Positions, item: ModelInput, *, words: bool) -> Ints:
    """Return the indices, ascending where they come of a span, of an item's tokens, words or patches.

    Raises PositionError for an index that the item does not have, and for characters without tokens; all of an empty
    text is no token.
    """
    tokens = item if isinstance(item, TokenizedText) else None
    units = tokens.words if tokens and words else None
    if isinstance(positions, TextSpan):
        if tokens is None:
            raise PositionError("a span is of a text, and this input is an image")
        return _indices_in_span(positions, tokens, units)
    count = item.num_tokens if units is None else len(units.offsets)
    wrong = next((index for index in positions if index >= count), None)
    if wrong is not None:
        raise PositionError(f"{wrong} is out of range: the input has {count} {'words' if units else 'positions'}")
    return np.array(positions, dtype=np.int64)


def _indices_in_span(span: TextSpan, tokens: TokenizedText, units: WordOffsets | None) -> Ints:
    inputs: Sequence[int | None] = tokens.token_inputs or [0] * tokens.num_tokens
    firsts = range(tokens.num_tokens) if units is None else units.first_tokens.tolist()
    offsets = tokens.token_offsets if units is None else units.offsets
    found = [
        i
        for i, (first, (_, start, end)) in enumerate(zip(firsts, offsets, strict=True))
        if inputs[first] == span.input and span.overlaps(start, end)
    ]
    if not found and (span.start, span.end) != (None, None):
        raise PositionError(f"the span has no token of input {span.input}")
    return np.array(found, dtype=np.int64)
