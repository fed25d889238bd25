"""How an answer's attention is fetched from a graph, and how an item's share is cut out of a batch.

Letters: b items, s longest item, n positions of one item, m of them that reductions are told on (a text's tokens, a
picture's cells), h heads, l layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.manifest import Pooling

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """A request's attention, known to be there: `layers` and `heads` are those to take of raw weights.

    `prefix` of an item's positions come before those that reductions are told on.
    """

    reduce: tensors.Reduction | Literal["raw"]
    query: Literal["pool", "all"] | int
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    pooling: Pooling
    prefix: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors to fetch beside the embedding."""
        if self.reduce == "raw":
            return tuple(map(tensors.weights, sorted(set(self.layers))))
        return (tensors.pooled(self.reduce) if self.query == "pool" else tensors.matrix(self.reduce),)

    def told(self, n: int) -> int:
        """Of an item's `n` positions, how many the answer is told on."""
        return n if self.reduce == "raw" else n - self.prefix

    def answer_bytes(self, n: int) -> int:
        """Size of the answer for an item of `n` positions, as float32."""
        m = self.told(n)
        rows = m * m if self.query == "all" else m
        return FLOAT_BYTES * rows * (len(self.layers) * len(self.heads) if self.reduce == "raw" else 1)

    def cut(self, arrays: Mapping[str, Floats], row: int, n: int) -> Floats:
        """The own share of an item of `n` positions of a batch's arrays, copied: a view would keep the batch alive.

        `[l, h]` of raw weights, then `[m]`, or `[m, m]` with query "all"; padding is never in it.
        """
        m = self.told(n)
        if self.reduce == "raw":
            heads = list(self.heads)
            layers = [arrays[tensors.weights(layer)][row, :, :m, :m][heads] for layer in self.layers]
            return self._rows(np.stack(layers)).copy()
        (name,) = self.outputs
        if self.query == "pool":
            return arrays[name][row, :m].copy()
        return self._rows(arrays[name][row, :m, :m]).copy()

    def _rows(self, matrices: Floats) -> Floats:
        """Choose among the query rows of `[..., m, m]`."""
        if self.query == "all":
            return matrices
        if self.query == "pool":
            pooled: Floats = matrices[..., 0, :] if self.pooling == "cls" else matrices.mean(axis=-2)
            return pooled
        return matrices[..., self.query, :]
