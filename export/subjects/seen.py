"""What a graph returns: the embedding, and what was seen of the attention on the way.

Letters: b items, s positions of the longest item, h heads, e width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from models.contract import tensors
from models.relevance import told


@dataclass(frozen=True)
class Seen:
    """What was observed of one batch: each layer's weights `[b, h, s, s]`, those of the chosen heads, and `shares`
    `[b or 1, s]`, what each position has of the vector. Of the positions, `prefix` belong to no part of the item."""

    weights: Sequence[Tensor]
    chosen: Sequence[Tensor]
    shares: Tensor
    prefix: int = 0


def results(embedding: Tensor, seen: Seen | None) -> tuple[Tensor, ...]:
    """In the order of `Subject.outputs`."""
    if seen is None:
        return (embedding.float(),)
    row = seen.shares[:, None, None]
    relevances = told(seen.weights, seen.shares, seen.prefix)
    reduced = [tensor for r in tensors.REDUCTIONS for tensor in (relevances[r].matrix, relevances[r].pooled)]
    raw = [tensor for layer in seen.chosen for tensor in (layer, (row @ layer)[:, :, 0])]
    return (embedding.float(), *reduced, *raw)
