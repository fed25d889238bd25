"""Which attention a request asks for, which tensors that takes, and how an item's share is cut out of a batch.

Letters: b items, s longest item, n tokens of one item, h heads, l layers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.manifest import Manifest
from service.errors import InvalidParameter

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class AttentionQuery:
    """`query` says whose attention: the pooled item's, every token's, or one token's.

    `layers` and `heads` (None for all) choose among raw weights only.
    """

    reduce: tensors.Reduction | Literal["raw"] = "rollout"
    query: Literal["pool", "all"] | int = "pool"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    def check(self, manifest: Manifest) -> None:
        """Raises InvalidParameter for a layer or head that the model does not have."""
        if self.reduce != "raw" and (self.layers, self.heads) != (None, None):
            param = "attention.heads" if self.layers is None else "attention.layers"
            raise InvalidParameter("layers and heads can be chosen with reduce=raw only", param)
        for name, chosen, count in (
            ("layers", self.layers, manifest.attention.layers),
            ("heads", self.heads, manifest.attention.heads),
        ):
            for index in chosen or ():
                if not 0 <= index < count:
                    raise InvalidParameter(
                        f"{name} are 0 to {count - 1} in this model, not {index}", f"attention.{name}"
                    )

    def outputs(self, manifest: Manifest) -> tuple[str, ...]:
        """The tensors to fetch beside the embedding."""
        if self.reduce == "raw":
            return tuple(map(tensors.weights, sorted(set(self._layers(manifest)))))
        return (tensors.pooled(self.reduce) if self.query == "pool" else tensors.matrix(self.reduce),)

    def shape(self, n: int, manifest: Manifest) -> tuple[int, ...]:
        """Shape of the answer for an item of `n` tokens."""
        rows = (n, n) if self.query == "all" else (n,)
        if self.reduce != "raw":
            return rows
        heads = manifest.attention.heads if self.heads is None else len(self.heads)
        return (len(self._layers(manifest)), heads, *rows)

    def answer_bytes(self, n: int, manifest: Manifest) -> int:
        """Size of the answer for an item of `n` tokens, as float32."""
        return FLOAT_BYTES * math.prod(self.shape(n, manifest))

    def cut(self, arrays: Mapping[str, Floats], row: int, n: int, manifest: Manifest) -> Floats:
        """The item's own share of a batch's arrays, of `shape(n)`; padding is never in it."""
        if self.reduce == "raw":
            heads = slice(None) if self.heads is None else list(self.heads)
            layers = [arrays[tensors.weights(layer)][row, :, :n, :n][heads] for layer in self._layers(manifest)]
            return self._rows(np.stack(layers), manifest).copy()  # a view would keep every row alive
        (name,) = self.outputs(manifest)
        if self.query == "pool":
            return arrays[name][row, :n].copy()
        return self._rows(arrays[name][row, :n, :n], manifest).copy()

    def _rows(self, matrices: Floats, manifest: Manifest) -> Floats:
        """Choose among the query rows of `[..., n, n]`."""
        if self.query == "all":
            return matrices
        if self.query == "pool":
            pooled: Floats = matrices[..., 0, :] if manifest.embedding.pooling == "cls" else matrices.mean(axis=-2)
            return pooled
        return matrices[..., self.query, :]

    def _layers(self, manifest: Manifest) -> tuple[int, ...]:
        return tuple(range(manifest.attention.layers)) if self.layers is None else self.layers
