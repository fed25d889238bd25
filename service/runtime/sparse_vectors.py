"""Sparse vectors over a vocabulary, packed for the engine: only entries other than 0 leave a batch.

Letters: b items, c entries of the vocabulary, k of them that are not 0.
"""

from typing import NamedTuple

import numpy as np

from models.artifact.arrays import Floats, Ints
from service import limits


class SparseVector(NamedTuple):
    """Entries that are not 0, by index: `indices` `[k]` of the vocabulary, `values` `[k]`, and on request `tokens`
    `[k]`, the index of the input's token that each value is of."""

    indices: Ints
    values: Floats
    tokens: Ints | None


def pack_row(weights: Floats, tokens: Floats | None) -> Floats:
    """Pack the weights `[c]` of an item, and the token of each, to `[2 or 3, k]`: indices, values, tokens.

    As float32, in which every index of a vocabulary is exact: up to 2**24. The largest
    `limits.MAX_SPARSE_ENTRIES` are kept, and NaN counts as the largest: it must be seen, for it fails the item.
    """
    indices = np.flatnonzero(weights)
    if len(indices) > limits.MAX_SPARSE_ENTRIES:
        order = -np.nan_to_num(weights[indices], nan=np.inf, posinf=np.inf)
        largest = np.argpartition(order, limits.MAX_SPARSE_ENTRIES)[: limits.MAX_SPARSE_ENTRIES]
        indices = np.sort(indices[largest])
    rows = [indices.astype(np.float32), weights[indices], *([] if tokens is None else [tokens[indices]])]
    return np.stack(rows)


def unpack_row(packed: Floats) -> SparseVector:
    """Return the vector that `pack_row` packed."""
    indices = packed[0].astype(np.int64)
    return SparseVector(indices, packed[1], packed[2].astype(np.int64) if len(packed) > 2 else None)
