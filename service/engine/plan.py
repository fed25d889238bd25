"""Plans for attention and token embeddings: the outputs to fetch from a graph, and an item's slice of a batch.

Letters: b items, s longest item, n positions of one item, m of them without the prefix (a text's tokens, an image's
patches), h heads, l layers, e width of a vector.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.artifact import tensors
from models.artifact.arrays import Floats
from models.preprocess.model_input import ModelInput
from models.preprocess.tokenized_text import get_word_offsets
from service.engine.attention_ops import AttentionWeights, mean_from_words, stack, sum_to_words, top_k, word_row

FLOAT_BYTES, INDEX_BYTES = 4, 8

LIVE_ATTENTION_MATRICES = 3
"""Matrices that are there of each head of a layer while its weights are made: product, product with bias, softmax.
Measured on CPU with 2, 6 and 12 layers: the graph lets one layer's go before it makes the next one's."""


@dataclass(frozen=True, slots=True)
class TokenEmbeddingPlan:
    """That a request wants the vectors of its items' positions too, each as wide as the model's embedding."""

    width: int

    def response_bytes(self, n: int) -> int:
        """Return the response size for an item of `n` positions, as float32."""
        return FLOAT_BYTES * n * self.width

    @staticmethod
    def extract(arrays: Mapping[str, Floats], row: int, n: int) -> Floats:
        """[n, e] of an item of `n` positions, prefix included, copied: a view would keep the batch alive."""
        return arrays[tensors.TOKEN_EMBEDDINGS][row, :n].copy()


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """A request's attention, known to be there.

    Of raw weights it takes `layers`, and of those `heads`, or all heads combined. `words` says that a text's tokens are
    put together, and `top_k` that no more than that many weights of a row are answered. `prefix` of an item's
    positions come before those that reductions cover. The layer with the most heads has `max_heads`.
    """

    reduce: tensors.Reduction | Literal["raw"]
    query: Literal["pool", "all"] | int
    layers: tuple[int, ...]
    heads: tuple[int, ...] | tensors.Combination
    prefix: int
    max_heads: int
    top_k: int | None = None
    words: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors to fetch in addition to the embedding."""
        if self.reduce == "raw":
            return tuple(map(self._raw_output_name, sorted(set(self.layers))))
        return (
            tensors.pooled_reduction(self.reduce) if self.query == "pool" else tensors.reduction_matrix(self.reduce),
        )

    @property
    def chosen_heads(self) -> tuple[int, ...]:
        """The heads to pass to the graph; empty when the graph combines all heads."""
        return self.heads if isinstance(self.heads, tuple) else ()

    def num_entries(self, item: ModelInput) -> int | None:
        """Return the number of words or positions in the response; None if words are requested but unknown."""
        if not self.words:
            return self._visible(item.num_tokens)
        words = get_word_offsets(item)
        return None if words is None else len(words.first_tokens)

    def response_bytes(self, n: int) -> int:
        """Return the maximum response size for `n` positions: float32 values, and int64 indices with `top_k`."""
        m = self._visible(n)
        values_per_row = m if self.top_k is None else min(self.top_k, m)
        rows = m if self.query == "all" else 1
        value_bytes = FLOAT_BYTES if self.top_k is None else FLOAT_BYTES + INDEX_BYTES
        return value_bytes * values_per_row * rows * self._num_matrices

    def extract(self, arrays: Mapping[str, Floats], row: int, item: ModelInput) -> AttentionWeights:
        """Slice an item's attention from a batch's arrays, copied: a view would keep the batch in memory.

        `[l, h]` of raw weights, `[l]` if heads are combined, then `[m]`, or `[m, m]` with query "all", m the item's
        entries; padding is never in it.
        """
        m = self._visible(item.num_tokens)
        rows = [self._select_rows(arrays[name][row], m, item) for name in self._output_names]
        weights = [AttentionWeights(each) if self.top_k is None else top_k(each, self.top_k) for each in rows]
        if self.reduce == "raw":
            return stack(weights)
        return weights[0] if weights[0].indices is not None else AttentionWeights(weights[0].values.copy())

    def workspace_bytes(self, n: int) -> int:
        """Return the memory that an item of `n` positions takes while it runs: the heads of one
        layer, and what the graph gives."""
        rows = 1 if self.query == "pool" else n
        heads = len(self.heads) if self.reduce == "raw" and isinstance(self.heads, tuple) else self.max_heads
        return FLOAT_BYTES * n * (LIVE_ATTENTION_MATRICES * heads * n + rows * self._num_matrices)

    def max_positions(self, n: int, max_workspace_bytes: int) -> int:
        """Return the most positions, up to `n`, whose workspace fits `max_workspace_bytes`; 0 if none fits."""
        return bisect_right(range(1, n + 1), max_workspace_bytes, key=self.workspace_bytes)

    @property
    def _num_matrices(self) -> int:
        """The number of matrices in the response: one, or one per head and layer for raw weights."""
        if self.reduce != "raw":
            return 1
        return len(self.layers) * (len(self.heads) if isinstance(self.heads, tuple) else 1)

    @property
    def _output_names(self) -> tuple[str, ...]:
        return tuple(map(self._raw_output_name, self.layers)) if self.reduce == "raw" else self.outputs

    def _visible(self, n: int) -> int:
        """Return how many of an item's `n` positions are in the response: raw weights include the prefix."""
        return n if self.reduce == "raw" else n - self.prefix

    def _raw_output_name(self, layer: int) -> str:
        pooled = self.query == "pool"
        if isinstance(self.heads, tuple):
            return (tensors.pooled_layer_weights if pooled else tensors.layer_weights)(layer)
        return (tensors.pooled_combined_heads if pooled else tensors.combined_heads)(layer, self.heads)

    def _select_rows(self, values: Floats, m: int, item: ModelInput) -> Floats:
        """Return the query's rows of `[..., s, s]`, or of `[..., s]` where they are pooled already; of words if
        requested."""
        words = get_word_offsets(item) if self.words else None
        selected = values[..., :m] if self.query == "pool" else values[..., :m, :m]
        if words is not None:
            selected = sum_to_words(selected, words.first_tokens)
        if isinstance(self.query, int):
            return selected[..., self.query, :] if words is None else word_row(selected, words.first_tokens, self.query)
        return mean_from_words(selected, words.first_tokens) if words is not None and self.query == "all" else selected
