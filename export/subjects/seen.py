"""What a graph returns: the embedding, the vectors of the positions, and what was seen of the attention on the way.

Letters: b items, s positions of the longest item, h heads, e width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from models.contract import tensors
from models.relevance import over_heads, told


@dataclass(frozen=True)
class Seen:
    """What was observed of one batch: each layer's weights `[b, h, s, s]`, those of the chosen heads, and `shares`
    `[b or 1, s]`, what each position has of the vector. Of the positions, `prefix` belong to no part of the item."""

    weights: Sequence[Tensor]
    chosen: Sequence[Tensor]
    shares: Tensor
    prefix: int = 0


def left(positions: Tensor | None) -> Tensor:
    """What an encoder that is watched leaves of its positions, as every one does."""
    if positions is None:
        raise ValueError("the encoder left no vectors of its positions")
    return positions


def results(embedding: Tensor, positions: Tensor, seen: Seen | None) -> tuple[Tensor, ...]:
    """In the order of `Subject.outputs`; `positions` is `[b, s, e]`."""
    vectors = embedding.float(), positions.float()
    if seen is None:
        return vectors
    row = seen.shares[:, None, None]
    relevances = told(seen.weights, seen.shares, seen.prefix)
    reduced = [tensor for r in tensors.REDUCTIONS for tensor in (relevances[r].matrix, relevances[r].pooled)]
    raw = [
        tensor
        for layer, chosen in zip(seen.weights, seen.chosen, strict=True)
        for tensor in (chosen, (row @ chosen)[:, :, 0], *_combined(layer, seen.shares[:, None]))
    ]
    return (*vectors, *reduced, *raw)


def _combined(layer: Tensor, row: Tensor) -> Iterator[Tensor]:
    """In the order of `tensors.raw`; `row` is `[b or 1, 1, s]`."""
    for how in tensors.COMBINATIONS:
        matrix = over_heads(layer, how)
        yield matrix
        yield (row @ matrix)[:, 0]
