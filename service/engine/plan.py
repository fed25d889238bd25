"""How what is asked beside an embedding is fetched from a graph, and how an item's share is cut out of a batch.

Letters: b items, s longest item, n positions of one item, m of them that are told on (a text's tokens, a picture's
cells), h heads, l layers, e width of a vector.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.contract import tensors
from models.contract.arrays import Floats
from models.preprocess.prepared import Prepared
from models.preprocess.tokens import words_of
from service.engine.condensing import Weights, from_word, from_words, largest, onto_words, stacked

FLOAT_BYTES, INDEX_BYTES = 4, 8

SPELLED = 3
"""Matrices that are there of each head of a layer while its weights are made: product, product with bias, softmax.
Measured on CPU with 2, 6 and 12 layers: the graph lets one layer's go before it makes the next one's."""


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
    """A request's attention, known to be there.

    Of raw weights it takes `layers`, and of those `heads`, or all heads combined. `words` says that a text's tokens are
    put together, and `top_k` that no more than that many weights of a row are answered. `prefix` of an item's
    positions come before those that reductions are told on. The layer with the most heads has `widest`.
    """

    reduce: tensors.Reduction | Literal["raw"]
    query: Literal["pool", "all"] | int
    layers: tuple[int, ...]
    heads: tuple[int, ...] | tensors.Combination
    prefix: int
    widest: int
    top_k: int | None = None
    words: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors to fetch beside the embedding."""
        if self.reduce == "raw":
            return tuple(map(self._raw, sorted(set(self.layers))))
        return (tensors.pooled(self.reduce) if self.query == "pool" else tensors.matrix(self.reduce),)

    @property
    def chosen_heads(self) -> tuple[int, ...]:
        """What the graph is told of heads: of those that it combines, nothing."""
        return self.heads if isinstance(self.heads, tuple) else ()

    def entries(self, item: Prepared) -> int | None:
        """On how many words or positions the answer is told; None where words are asked for and not known."""
        if not self.words:
            return self._told(item.positions)
        words = words_of(item)
        return None if words is None else len(words.starts)

    def answer_bytes(self, n: int) -> int:
        """Size of the answer for an item of `n` positions, at most: float32, and int64 beside it for the indices."""
        m = self._told(n)
        kept = m if self.top_k is None else min(self.top_k, m)
        rows = m if self.query == "all" else 1
        each = FLOAT_BYTES if self.top_k is None else FLOAT_BYTES + INDEX_BYTES
        return each * kept * rows * self._matrices

    def cut(self, arrays: Mapping[str, Floats], row: int, item: Prepared) -> Weights:
        """An item's own share of a batch's arrays, copied: a view would keep the batch alive.

        `[l, h]` of raw weights, `[l]` if heads are combined, then `[m]`, or `[m, m]` with query "all", m the item's
        entries; padding is never in it.
        """
        m = self._told(item.positions)
        found = [self._condensed(arrays[name][row], m, item) for name in self._names]
        kept = [Weights(each) if self.top_k is None else largest(each, self.top_k) for each in found]
        if self.reduce == "raw":
            return stacked(kept)
        return kept[0] if kept[0].indices is not None else Weights(kept[0].values.copy())

    def workspace_bytes(self, n: int) -> int:
        """What an item of `n` positions takes while it runs, of which the answer may be a small part: the heads of one
        layer, and what the graph gives."""
        rows = 1 if self.query == "pool" else n
        heads = len(self.heads) if self.reduce == "raw" and isinstance(self.heads, tuple) else self.widest
        return FLOAT_BYTES * n * (SPELLED * heads * n + rows * self._matrices)

    def longest(self, n: int, workspace: int) -> int:
        """Of items of up to `n` positions the longest that takes no more than so many bytes; 0 for none."""
        return bisect_right(range(1, n + 1), workspace, key=self.workspace_bytes)

    @property
    def _matrices(self) -> int:
        """How many are told: one, or of raw weights one for each head of each layer."""
        if self.reduce != "raw":
            return 1
        return len(self.layers) * (len(self.heads) if isinstance(self.heads, tuple) else 1)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(map(self._raw, self.layers)) if self.reduce == "raw" else self.outputs

    def _told(self, n: int) -> int:
        """Of an item's `n` positions, how many reductions, or raw weights, are of."""
        return n if self.reduce == "raw" else n - self.prefix

    def _raw(self, layer: int) -> str:
        pooled = self.query == "pool"
        if isinstance(self.heads, tuple):
            return (tensors.pooled_weights if pooled else tensors.weights)(layer)
        return (tensors.pooled_combined if pooled else tensors.combined)(layer, self.heads)

    def _condensed(self, found: Floats, m: int, item: Prepared) -> Floats:
        """The query's rows of `[..., s, s]`, or of `[..., s]` where they are pooled already; of words if asked."""
        words = words_of(item) if self.words else None
        own = found[..., :m] if self.query == "pool" else found[..., :m, :m]
        if words is not None:
            own = onto_words(own, words.starts)
        if isinstance(self.query, int):
            return own[..., self.query, :] if words is None else from_word(own, words.starts, self.query)
        return from_words(own, words.starts) if words is not None and self.query == "all" else own
