"""Plans for attention and token embeddings: the outputs to fetch from a graph, and an item's slice of a batch.

Letters: b items, s longest item, n positions of one item, m of them without the prefix (a text's tokens, an image's
patches), h heads, l layers, e width of a vector.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats, Ints
from models.artifact.manifest import AttentionSpec, Manifest
from models.artifact.tensors import Combination, Reduction
from models.preprocess.model_input import ModelInput, get_word_offsets
from service.engine.positions import Positions, TextSpan, resolve_positions
from service.errors import InvalidParameter


@dataclass(frozen=True, slots=True)
class AttentionWeights:
    """Weights of a response: `values` `[..., n]`, or the k largest `[..., k]` with `indices` of the same shape.

    `queries` and `keys` are the positions of the rows and columns where some were selected; None for all.
    """

    values: Floats
    indices: Ints | None = None
    queries: Ints | None = None
    keys: Ints | None = None


def sum_to_words(values: Floats, starts: Ints) -> Floats:
    """Attention *to* words: `[..., n]` -> `[..., u]`, what their tokens are given, added up.

    `starts` `[u]` is each word's first token. Rows keep their sum. Source of both rules: Clark et al., "What Does BERT
    Look At?" (2019), section 4.1.
    """
    sums: Floats = np.add.reduceat(values, starts, axis=-1)
    return sums


def mean_from_words(values: Floats, starts: Ints) -> Floats:
    """Attention *from* words: `[..., n, m]` -> `[..., u, m]`, the mean of their tokens' rows."""
    lengths = np.diff(starts, append=values.shape[-2]).astype(np.float32)
    sums: Floats = np.add.reduceat(values, starts, axis=-2)
    return sums / lengths[:, None]


def word_row(values: Floats, starts: Ints, word: int) -> Floats:
    """Return the row of one word: `[..., n, m]` -> `[..., m]`."""
    end = starts[word + 1] if word + 1 < len(starts) else values.shape[-2]
    row: Floats = values[..., starts[word] : end, :].mean(axis=-2)
    return row


def stack(weights: Sequence[AttentionWeights]) -> AttentionWeights:
    """Stack equal values along a new first axis."""
    indices = [each.indices for each in weights if each.indices is not None]
    return AttentionWeights(np.stack([each.values for each in weights]), np.stack(indices) if indices else None)


def top_k(values: Floats, k: int) -> AttentionWeights:
    """Return the k largest of each row of `[..., n]`, in descending order, or all if there are fewer.

    Equal values keep their order; which of them are dropped is unspecified.
    """
    k = min(k, values.shape[-1])
    if k == 0:
        return AttentionWeights(values[..., :0], np.zeros((*values.shape[:-1], 0), dtype=np.int64))
    # A full sort of all heads' rows of a long text is several times as slow.
    indices = np.argpartition(values, values.shape[-1] - k, axis=-1)[..., -k:]
    values_at_k = np.take_along_axis(values, indices, axis=-1)
    order = np.lexsort((indices, -values_at_k), axis=-1)
    return AttentionWeights(
        np.take_along_axis(values_at_k, order, axis=-1), np.take_along_axis(indices, order, axis=-1)
    )


FLOAT_BYTES, INDEX_BYTES = 4, 8

LIVE_ATTENTION_MATRICES = 3
"""Matrices per head that are in memory while a layer's weights are computed: product, product with bias, softmax.
Measured on CPU with 2, 6 and 12 layers: the graph frees one layer's before the next."""


@dataclass(frozen=True, slots=True)
class TokenEmbeddingPlan:
    """That a request wants the vectors of its items' positions too, each as wide as the model's embedding."""

    width: int

    def response_bytes(self, n: int) -> int:
        """Return the response size for an item of `n` positions, as float32."""
        return FLOAT_BYTES * n * self.width

    @staticmethod
    def extract(arrays: Mapping[str, Floats], row: int, n: int) -> Floats:
        """Slice `[n, e]` of an item of `n` positions, prefix included, copied: a view would keep the batch in
        memory."""
        return arrays[tensors.TOKEN_EMBEDDINGS][row, :n].copy()


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """Attention of a request, checked against the model.

    Raw weights are taken from `layers` and their `heads`, or all heads combined; with `layer_heads`, from the head of
    a layer in each pair. `query` and `keys` select rows and columns, of which each keeps its weight. `words` merges a
    text's tokens; `top_k` limits the weights per row. Reductions exclude the first `prefix` positions. The layer with
    the most heads has `max_heads`.
    """

    reduce: tensors.Reduction | Literal["raw"]
    query: Literal["pool", "all"] | int | Positions
    layers: tuple[int, ...]
    heads: tuple[int, ...] | tensors.Combination
    prefix: int
    max_heads: int
    top_k: int | None = None
    words: bool = False
    keys: Positions | None = None
    layer_heads: tuple[tuple[int, int], ...] = ()

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
        rows = 1 if self.query == "pool" or isinstance(self.query, int) else m
        rows = len(self.query) if isinstance(self.query, tuple) else rows
        values_per_row = min(values_per_row, len(self.keys)) if isinstance(self.keys, tuple) else values_per_row
        value_bytes = FLOAT_BYTES if self.top_k is None else FLOAT_BYTES + INDEX_BYTES
        return value_bytes * values_per_row * rows * self._num_matrices

    def extract(self, arrays: Mapping[str, Floats], row: int, item: ModelInput) -> AttentionWeights:
        """Slice an item's attention from a batch's arrays, copied: a view would keep the batch in memory.

        `[l, h]` of raw weights, `[l]` if heads are combined or `[p]` of p pairs of them, then `[m]`, or `[m, m]` with
        query "all", m the item's entries; padding is never in it.
        """
        m = self._visible(item.num_tokens)
        queries, keys = (
            None if positions is None else resolve_positions(positions, item, words=self.words)
            for positions in (self.query if isinstance(self.query, tuple | TextSpan) else None, self.keys)
        )
        rows = [self._select(values, m, item, queries, keys) for values in self._matrices(arrays, row)]
        weights = [AttentionWeights(each) if self.top_k is None else top_k(each, self.top_k) for each in rows]
        found = stack(weights) if self.reduce == "raw" else weights[0]
        indices = found.indices if found.indices is None or keys is None else keys[found.indices]
        values = np.ascontiguousarray(found.values)
        values = values if values.base is None else values.copy()
        return AttentionWeights(values, indices, queries, keys)

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
        if self.layer_heads:
            return len(self.layer_heads)
        return len(self.layers) * (len(self.heads) if isinstance(self.heads, tuple) else 1)

    def _matrices(self, arrays: Mapping[str, Floats], row: int) -> list[Floats]:
        """Return the item's part of each output: of each layer, or of the head in each pair of `layer_heads`."""
        if self.layer_heads and isinstance(self.heads, tuple):
            return [
                arrays[self._raw_output_name(layer)][row][self.heads.index(head)] for layer, head in self.layer_heads
            ]
        names = tuple(map(self._raw_output_name, self.layers)) if self.reduce == "raw" else self.outputs
        return [arrays[name][row] for name in names]

    def _visible(self, n: int) -> int:
        """Return how many of an item's `n` positions are in the response: raw weights include the prefix."""
        return n if self.reduce == "raw" else n - self.prefix

    def _raw_output_name(self, layer: int) -> str:
        pooled = self.query == "pool"
        if isinstance(self.heads, tuple):
            return (tensors.pooled_layer_weights if pooled else tensors.layer_weights)(layer)
        return (tensors.pooled_combined_heads if pooled else tensors.combined_heads)(layer, self.heads)

    def _select(self, values: Floats, m: int, item: ModelInput, queries: Ints | None, keys: Ints | None) -> Floats:
        """Return the columns `keys` of the query's rows of `[..., s, s]`, or of `[..., s]` where they are pooled
        already; of words if requested."""
        selected = self._select_rows(values, m, item)
        if queries is not None:
            selected = selected[..., queries, :]
        return selected if keys is None else selected[..., keys]

    def _select_rows(self, values: Floats, m: int, item: ModelInput) -> Floats:
        """Return the row of the query, if it is one, else all rows."""
        words = get_word_offsets(item) if self.words else None
        selected = values[..., :m] if self.query == "pool" else values[..., :m, :m]
        if words is not None:
            selected = sum_to_words(selected, words.first_tokens)
        if isinstance(self.query, int):
            return selected[..., self.query, :] if words is None else word_row(selected, words.first_tokens, self.query)
        return mean_from_words(selected, words.first_tokens) if words is not None and self.query != "pool" else selected


@dataclass(frozen=True, slots=True)
class AttentionOptions:
    """`query` selects whose attention: the output's, every position's, that of one token, patch or (raw) position, or
    of several, and `keys` which positions it is paid to.

    `layers` and `heads` (None for all) select raw weights only, as does a combination of heads; `layer_heads` is a head
    of a layer each. `words` merges a text's
    tokens; the `top_k` largest of each row are kept, or all.
    """

    reduce: Reduction | Literal["raw"] = "rollout"
    query: Literal["pool", "all"] | int | Positions = "pool"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | Combination | None = None
    top_k: int | None = None
    words: bool = False
    keys: Positions | None = None
    layer_heads: tuple[tuple[int, int], ...] | None = None

    def plan(self, manifest: Manifest) -> AttentionPlan:
        """How to answer this from that model. Raises InvalidParameter for what the model does not have."""
        if manifest.attention is None:
            raise InvalidParameter("this model has no attention", "attention")
        if self.reduce != "raw" and (self.layers, self.heads, self.layer_heads) != (None, None, None):
            param = "attention.heads" if self.layers is None else "attention.layers"
            raise InvalidParameter("layers and heads require reduce=raw", param)
        if self.layer_heads is not None:
            return self._plan_layer_heads(manifest, manifest.attention)
        if self.words and manifest.text is None:
            raise InvalidParameter("units=words requires a text model", "attention.units")
        for name, chosen in (("layers", self.layers), ("heads", self.heads)):
            if isinstance(chosen, tuple) and len(set(chosen)) < len(chosen):
                raise InvalidParameter(f"{name} must not contain duplicates", f"attention.{name}")
        layers = self._layers(manifest.attention)
        heads = self._heads(layers, manifest.attention) if self.reduce == "raw" else ()
        return self._plan(manifest, manifest.attention, layers, heads)

    def _plan(
        self,
        manifest: Manifest,
        attention: AttentionSpec,
        layers: tuple[int, ...],
        heads: tuple[int, ...] | Combination,
        layer_heads: tuple[tuple[int, int], ...] = (),
    ) -> AttentionPlan:
        return AttentionPlan(
            reduce=self.reduce,
            query=self.query,
            layers=layers,
            heads=heads,
            prefix=manifest.num_prefix_tokens,
            max_heads=max(attention.heads),
            top_k=self.top_k,
            words=self.words,
            keys=self.keys,
            layer_heads=layer_heads,
        )

    def _plan_layer_heads(self, manifest: Manifest, attention: AttentionSpec) -> AttentionPlan:
        """Return the plan for a head of a layer each; the graph computes all of those heads in all of those layers."""
        pairs = self.layer_heads or ()
        if (self.layers, self.heads) != (None, None):
            raise InvalidParameter("layer_heads replaces layers and heads", "attention.layer_heads")
        for layer, head in pairs:
            if layer >= attention.num_layers or head >= attention.heads[layer]:
                raise InvalidParameter(f"there is no head {head} in a layer {layer}", "attention.layer_heads")
        layers, heads = (tuple(sorted({pair[i] for pair in pairs})) for i in (0, 1))
        if max(heads) >= min(attention.heads[layer] for layer in layers):
            raise InvalidParameter("all of these heads must be in all of these layers", "attention.layer_heads")
        return self._plan(manifest, attention, layers, heads, pairs)

    def _layers(self, attention: AttentionSpec) -> tuple[int, ...]:
        for layer in self.layers or ():
            if not 0 <= layer < attention.num_layers:
                raise InvalidParameter(
                    f"layer {layer} is out of range: layers are 0 to {attention.num_layers - 1}", "attention.layers"
                )
        return tuple(range(attention.num_layers)) if self.layers is None else self.layers

    def _heads(self, layers: tuple[int, ...], attention: AttentionSpec) -> tuple[int, ...] | Combination:
        """Return the heads to take of each of `layers`; all of them must have those heads."""
        if isinstance(self.heads, str):
            return self.heads
        counts = [attention.heads[layer] for layer in layers]
        if self.heads is None and len(set(counts)) > 1:
            head_counts = ", ".join(map(str, counts))
            raise InvalidParameter(
                f"these layers have {head_counts} heads; choose layers with equal counts, or heads that all have",
                "attention.layers",
            )
        for head in self.heads or ():
            if not 0 <= head < min(counts):
                raise InvalidParameter(
                    f"head {head} is out of range: 0 to {min(counts) - 1} in the chosen layers", "attention.heads"
                )
        return tuple(range(counts[0])) if self.heads is None else self.heads
