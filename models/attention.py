"""Attention primitive: weights and outputs.

`attention_weights` is a function of its own, called by the one that applies it. Without `need_weights` the fused kernel
of torch is used instead; a test holds the two spellings equal. `AttentionRecorder` is how an encoder's layers reach it,
so that one model can be run blind, watched, or traced into another operator.

Letters: b items, h heads, s query positions, k key positions, d width of one head.
Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional


def attention_weights(q: Tensor, k: Tensor, *, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """Return softmax(q k^T * scale + bias) over the keys.

    q `[b, h, s, d]`, k `[b, h, k, d]`, bias broadcastable to `[b, h, s, k]` -> `[b, h, s, k]`, rows summing to 1.
    The softmax runs in at least float32. `scale` is 1/sqrt(d) unless given. A row whose every key is biased to -inf
    is all zeros, as in ONNX Runtime and in torch's fused kernels.
    """
    # The query is scaled, not the product: in float16 the product of large vectors would be past its range.
    scores = q * (q.shape[-1] ** -0.5 if scale is None else scale) @ k.transpose(-1, -2)
    dtype = torch.promote_types(scores.dtype, torch.float32)
    if bias is None:
        return scores.softmax(dim=-1, dtype=dtype).to(q.dtype)
    scores = scores + bias
    masked = (scores == float("-inf")).all(dim=-1, keepdim=True)
    weights = scores.masked_fill(masked, 0).softmax(dim=-1, dtype=dtype)
    return weights.masked_fill(masked, 0).to(q.dtype)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Mix the values by attention: q `[b, h, s, d]`, k and v `[b, h, k, d]` -> out `[b, h, s, d]`.

    The second result is `attention_weights`' `[b, h, s, k]` if `need_weights`, else None.
    """
    if need_weights:
        weights = attention_weights(q, k, bias=bias, scale=scale)
        return weights @ v, weights
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale), None


ScatterToGrid = Callable[[Tensor], Tensor]
"""Maps a layer's weights as computed, such as within windows, to `[b, h, s, s]` over all of its positions."""


def identity(weights: Tensor) -> Tensor:
    return weights


@dataclass
class AttentionRecorder:
    """Computes the attention of an encoder's layers, first layer first, and records it.

    A blind one uses the fused kernel and keeps nothing. One that watches fills `weights` with a matrix a layer, over
    the positions of that layer, rows summing to 1. The encoder leaves in `token_embeddings` `[b, s, e]` the vectors of
    the positions, and where it pools by attention in `pooling_weights` `[b, s]` what each has of the item's vector. A
    subclass may spell `compute` in another operator.
    """

    record: bool = False
    weights: list[Tensor] = field(default_factory=list)
    token_embeddings: Tensor | None = None
    pooling_weights: Tensor | None = None

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None = None,
        *,
        scale: float | None = None,
        scatter: ScatterToGrid = identity,
    ) -> Tensor:
        """Mix the values as `models.attention.attend` does, and record what is requested."""
        out, weights = self.compute(q, k, v, bias, scale)
        if weights is not None:
            self.weights.append(scatter(weights))
        return out

    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        """Compute attention as `models.attention.attend` does; the weights are None unless they are recorded."""
        return attend(q, k, v, bias=bias, scale=scale, need_weights=self.record)
