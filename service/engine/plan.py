"""How what is asked beside an embedding is fetched from a graph, and how an item's share is cut out of a batch.

Letters: b items, s longest item, n positions of one item, m of them that reductions are told on (a text's tokens, a
picture's cells), h heads, l layers, e width of a vector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class VectorPlan:
    """That a request wants the vectors of its items' positions too, each as wide as the model's embedding."""

    width: int

    def answer_bytes(self, n: int) -> int:
        """Size of the answer for an item of `n` positions, as float32."""
        return FLOAT_BYTES * n * self.width

    @staticmethod
    def cut(arrays: Mapping[str, Floats], row: int, n: int) -> Floats:
        """[n, e] of an item of `n` positions, prefix included, copied: a view would keep the batch alive."""
        return arrays[tensors.POSITIONS][row, :n].copy()


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """A request's attention, known to be there: `layers` and `heads` are those to take of raw weights.

    `prefix` of an item's positions come before those that reductions are told on.
    """

    reduce: tensors.Reduction | Literal["raw"]
    query: Literal["pool", "all"] | int
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    prefix: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors to fetch beside the embedding."""
        if self.reduce == "raw":
            return tuple(map(self._raw, sorted(set(self.layers))))
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
            return np.stack([self._rows(arrays[self._raw(layer)][row], m) for layer in self.layers])
        (name,) = self.outputs
        return self._rows(arrays[name][row], m).copy()

    def _raw(self, layer: int) -> str:
        return tensors.pooled_weights(layer) if self.query == "pool" else tensors.weights(layer)

    def _rows(self, found: Floats, m: int) -> Floats:
        """The query's rows of `[..., s, s]`, or of `[..., s]` where they are pooled already."""
        if self.query == "pool":
            return found[..., :m]
        if self.query == "all":
            return found[..., :m, :m]
        return found[..., self.query, :m]
