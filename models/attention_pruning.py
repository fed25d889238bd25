"""Attention pruning: weights below a threshold are dropped, and the rest of the row is rescaled.

A row never becomes empty: its largest weight always stays. This measures what skipping costs in exactness. It saves
no time here, since the weights are computed before they are dropped.

Letters: b items, h heads, s query positions, k key positions, d width of one head.
Source: Ji et al., "On the Distribution, Sparsity, and Inference-time Quantization of Attention Values in
Transformers" (2021), who prune by a threshold after training; rescaling what is left is ours.
"""

import math
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor
from typing_extensions import override

from models.attention import AttentionRecorder, attention_weights
from models.packed import AttentionFunction, Bias, PackedLayout, padding_bias, resolve_bias


def prune_small_weights(weights: Tensor, threshold: float) -> Tensor:
    """Drop weights below `threshold` and rescale the rest: `[..., s, k]` -> `[..., s, k]`, rows summing to 1.

    A row from which nothing is dropped comes back bit for bit, and so does one that is all zeros (all masked).
    """
    small = (weights < threshold) & (weights < weights.amax(dim=-1, keepdim=True))
    dropped = torch.where(small, weights, 0).sum(dim=-1, keepdim=True)
    return weights.masked_fill(small, 0) / (1 - dropped)


@dataclass
class ThresholdPruning:
    """Pruning threshold, and its effect on all attention that it was applied to.

    Only pairs of an item's own positions are counted: padding, whose weight is zero anyway, is nothing to skip.
    """

    threshold: float
    num_weights: int = 0
    num_pruned: int = 0
    squared_error: float = 0.0
    squared_norm: float = 0.0

    @property
    def pruned_fraction(self) -> float:
        """Fraction of all weights that were pruned, 0 to 1."""
        return self.num_pruned / self.num_weights

    @property
    def output_error(self) -> float:
        """Relative error |out - exact| / |exact| over all attention outputs, each layer's on the inputs that reached
        it."""
        return math.sqrt(self.squared_error / self.squared_norm)

    def apply(self, weights: Tensor, v: Tensor, query_mask: Tensor, key_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Apply to weights `[b, h, s, k]`, v `[b, h, k, d]` -> out `[b, h, s, d]` and the remaining weights.

        `query_mask` `[b, s]` and `key_mask` `[b, k]`, broadcastable, are true where a position is the item's own.
        """
        kept = prune_small_weights(weights, self.threshold)
        out, exact = kept @ v, weights @ v
        pairs = (query_mask[:, None, :, None] & key_mask[:, None, None]).expand(weights.shape)
        small = (weights < self.threshold) & (kept == 0)
        self.num_weights += int(pairs.sum())
        self.num_pruned += int((small & pairs).sum())
        self.squared_error += _squared_norm(out - exact, query_mask)
        self.squared_norm += _squared_norm(exact, query_mask)
        return out, kept


def _squared_norm(out: Tensor, query_mask: Tensor) -> float:
    return float((out.detach() * query_mask[:, None, :, None]).square().sum())


@dataclass
class PruningRecorder(AttentionRecorder):
    """Attention of any encoder without its small weights. It records the remaining weights."""

    pruning: ThresholdPruning = field(kw_only=True)

    @override
    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        query_mask, key_mask = (torch.ones(1, x.shape[-2], dtype=torch.bool, device=x.device) for x in (q, k))
        out, kept = self.pruning.apply(attention_weights(q, k, bias=bias, scale=scale), v, query_mask, key_mask)
        return out, kept if self.record else None


def pruned_attention(pruning: ThresholdPruning) -> AttentionFunction:
    """Return the same attention over packed text."""

    def attend(
        q: Tensor, k: Tensor, v: Tensor, layout: PackedLayout, heads: int, scale: float, bias: Bias | None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in (q, k, v))
        token_mask = layout.token_mask()
        padding = padding_bias(q, layout, resolve_bias(bias, q, k, scale))
        weights = attention_weights(q, k, bias=padding, scale=scale)
        out, kept = pruning.apply(weights, v, token_mask, token_mask)
        return rearrange(out, "b h s d -> b s (h d)"), kept

    return attend
