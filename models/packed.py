"""Padding-free attention: hidden states stay packed `[t, e]`, and only attention sees `[b, s, e]`.

A spelling is how the padded middle is computed: with torch here, with one ONNX operator in `export`.
Both sit between the same two gathers, so whatever holds for one layout holds for the other.

Letters: b items, t tokens of all items, s longest item, h heads, d width of one head.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from typing_extensions import override

from models.artifact.specs import Pooling, TokenEmbeddingKind
from models.attention import AttentionRecorder, attend

RelativeBiasFunction = Callable[[Tensor, Tensor, float], Tensor]
"""Maps (q, k `[b, h, s, d]`, scale) to a layer's bias `[b, h, s, s]` from its own queries and keys, linear in both,
times the scale."""

Bias = Tensor | RelativeBiasFunction
"""Bias added to the scores of each item: `[1, h, s, s]` (or 1 for h), or computed per item by a layer."""

AttentionFunction = Callable[
    [Tensor, Tensor, Tensor, "PackedLayout", int, float, Bias | None], tuple[Tensor, Tensor | None]
]
"""Maps (q, k, v `[b, s, h*d]`, layout, heads, scale, bias) to (out `[b, s, h*d]`, weights `[b, h, s, s]` or None)."""


@dataclass
class PackedLayout:
    """Layout of a packed batch: the item of each token, and the attention function.

    `pack_index` `[t]`, `unpack_index` `[b, s]`, `lengths` `[b]`: as made by `models.artifact.graph_inputs.pack`. Each
    attention layer that returns weights appends them to `weights`, first layer first; the encoder leaves the vectors of
    the tokens in `token_embeddings`, packed `[t, e]`, and in `pooled` `[b, s]` those that its pooling takes, unless it
    takes every real one; a sparse encoder leaves in `sparse_tokens` `[b, c]` which token each weight is of.
    `token_type_ids` `[t]` says which text of a pair a token is in; None where all are in one.
    """

    pack_index: Tensor
    unpack_index: Tensor
    lengths: Tensor
    attention_function: AttentionFunction
    weights: list[Tensor] = field(default_factory=list)
    token_embeddings: Tensor | None = None
    pooled: Tensor | None = None
    token_type_ids: Tensor | None = None
    sparse_tokens: Tensor | None = None

    def unpack(self, packed: Tensor, *, repeat_first: bool = False) -> Tensor:
        """Unpack `[t, e]` -> `[b, s, e]`; cells past an item's length hold token 0, or with `repeat_first` the item's
        own first token, so that they change no maximum over its tokens."""
        index = self.unpack_index
        if repeat_first:
            index = torch.where(self.token_mask(), index, index[:, :1])
        b, s = index.shape
        return packed.index_select(0, index.reshape(-1)).reshape(b, s, packed.shape[-1])

    def pack(self, padded: Tensor) -> Tensor:
        """Pack `[b, s, e]` -> `[t, e]`."""
        b, s, e = padded.shape
        return padded.reshape(b * s, e).index_select(0, self.pack_index)

    def token_mask(self) -> Tensor:
        """Return `[b, s]`: true for the item's own tokens."""
        columns = torch.arange(self.unpack_index.shape[1], device=self.lengths.device)
        return columns[None] < self.lengths[:, None]

    def taken(self) -> Tensor:
        """Return `[b, s]`: true for the tokens that pooling takes."""
        return self.token_mask() if self.pooled is None else self.pooled


class PackedEncoder(nn.Module, ABC):
    """Text encoder over packed ids, pooled by `pooling` to `embedding_dim` values, and what follows the pooling."""

    embedding_kind: TokenEmbeddingKind = "pooled"
    pooling: Pooling
    embedding_dim: int

    @abstractmethod
    def forward(self, input_ids: Tensor, position_ids: Tensor, layout: PackedLayout) -> Tensor:
        """Encode input_ids, position_ids `[t]` -> embedding `[b, e]`, not normalized; a head's logits, `[b, c]` or
        by token `[b, s, c]`; or the weights of a sparse vector `[b, c]`. Fills `layout`."""


@dataclass
class PackedAttentionRecorder(AttentionRecorder):
    """Computes a block's attention over a packed batch; the layout records the weights."""

    layout: PackedLayout = field(kw_only=True)

    @override
    def compute(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None) -> tuple[Tensor, None]:
        """Attend with q, k, v `[1, h, t, d]` -> `[1, h, t, d]`."""
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        return packed_attention(q, k, v, self.layout, scale, bias), None


def packed_attention(
    q: Tensor, k: Tensor, v: Tensor, layout: PackedLayout, scale: float, bias: Bias | None = None
) -> Tensor:
    """Attend within each item: q, k, v `[1, h, t, d]` -> the same."""
    _, h, t, d = q.shape
    q, k, v = (layout.unpack(x.transpose(1, 2).reshape(t, h * d)) for x in (q, k, v))
    out, weights = layout.attention_function(q, k, v, layout, h, scale, bias)
    if weights is not None:
        layout.weights.append(weights)
    return layout.pack(out).reshape(1, t, h, d).transpose(1, 2)


def eager_attention(
    q: Tensor, k: Tensor, v: Tensor, layout: PackedLayout, heads: int, scale: float, bias: Bias | None
) -> tuple[Tensor, Tensor | None]:
    """Compute the reference: `models.attention.attend` with padding masked by a bias."""
    q, k, v = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in (q, k, v))
    padding = padding_bias(q, layout, resolve_bias(bias, q, k, scale))
    out, weights = attend(q, k, v, bias=padding, scale=scale, need_weights=True)
    return rearrange(out, "b h s d -> b s (h d)"), weights


def sdpa_attention(
    q: Tensor, k: Tensor, v: Tensor, layout: PackedLayout, heads: int, scale: float, bias: Bias | None
) -> tuple[Tensor, None]:
    """Compute the same by torch's fused kernel, which never materializes the weights."""
    q, k, v = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in (q, k, v))
    out, _ = attend(q, k, v, bias=padding_bias(q, layout, resolve_bias(bias, q, k, scale)), scale=scale)
    return rearrange(out, "b h s d -> b s (h d)"), None


def resolve_bias(bias: Bias | None, q: Tensor, k: Tensor, scale: float) -> Tensor | None:
    """Return the bias as a tensor; q, k `[b, h, s, d]`."""
    return bias if bias is None or isinstance(bias, Tensor) else bias(q, k, scale)


def padding_bias(q: Tensor, layout: PackedLayout, bias: Tensor | None) -> Tensor:
    """Return the bias of every item, with -inf where a key is padding: `[b, h or 1, 1 or s, s]`."""
    padding = q.new_zeros(layout.unpack_index.shape).masked_fill(~layout.token_mask(), float("-inf"))[:, None, None]
    return padding if bias is None else padding + bias
