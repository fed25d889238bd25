"""Attention that skips what is near zero: weights under a threshold are dropped, and the rest of the row rescaled.

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

from models.attention import Observer, attention_weights
from models.packed import Bias, Layout, Spelling, made_bias, padding_bias


def skip_small(weights: Tensor, threshold: float) -> Tensor:
    """Drop what is under `threshold` and rescale the rest: `[..., s, k]` -> `[..., s, k]`, rows summing to 1.

    A row from which nothing is dropped comes back bit for bit, and so does one that is all zeros (all masked).
    """
    small = (weights < threshold) & (weights < weights.amax(dim=-1, keepdim=True))
    dropped = torch.where(small, weights, 0).sum(dim=-1, keepdim=True)
    return weights.masked_fill(small, 0) / (1 - dropped)


@dataclass
class Skipping:
    """A threshold, and what came of it in all attention that it was applied to.

    Only pairs of an item's own positions are counted: padding, whose weight is zero anyway, is nothing to skip.
    """

    threshold: float
    pairs: int = 0
    skipped: int = 0
    moved: float = 0.0
    length: float = 0.0

    @property
    def share(self) -> float:
        """Of all weights, how many were skipped: 0 to 1."""
        return self.skipped / self.pairs

    @property
    def output_error(self) -> float:
        """|out - exact| / |exact| over all attention outputs, each layer's on the inputs that reached it."""
        return math.sqrt(self.moved / self.length)

    def mix(self, weights: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """weights `[b, h, s, k]`, v `[b, h, k, d]` -> out `[b, h, s, d]` and the weights that were left.

        `rows` `[b, s]` and `columns` `[b, k]`, broadcastable, are true where a position is the item's own.
        """
        kept = skip_small(weights, self.threshold)
        out, exact = kept @ v, weights @ v
        pairs = (rows[:, None, :, None] & columns[:, None, None]).expand(weights.shape)
        small = (weights < self.threshold) & (kept == 0)
        self.pairs += int(pairs.sum())
        self.skipped += int((small & pairs).sum())
        self.moved += _square_length(out - exact, rows)
        self.length += _square_length(exact, rows)
        return out, kept


def _square_length(out: Tensor, rows: Tensor) -> float:
    return float((out.detach() * rows[:, None, :, None]).square().sum())


@dataclass
class SkippingObserver(Observer):
    """Any encoder's attention with small weights skipped. What it records is what was left of them."""

    skipping: Skipping = field(kw_only=True)

    @override
    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float | None
    ) -> tuple[Tensor, Tensor | None]:
        rows, columns = (torch.ones(1, x.shape[-2], dtype=torch.bool, device=x.device) for x in (q, k))
        out, kept = self.skipping.mix(attention_weights(q, k, bias=bias, scale=scale), v, rows, columns)
        return out, kept if self.watching else None


def skipping_spelling(skipping: Skipping) -> Spelling:
    """The same over packed text."""

    def spell(
        q: Tensor, k: Tensor, v: Tensor, layout: Layout, heads: int, scale: float, bias: Bias | None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = (rearrange(x, "b s (h d) -> b h s d", h=heads) for x in (q, k, v))
        real = layout.real()
        padding = padding_bias(q, layout, made_bias(bias, q, k, scale))
        weights = attention_weights(q, k, bias=padding, scale=scale)
        out, kept = skipping.mix(weights, v, real, real)
        return rearrange(out, "b h s d -> b s (h d)"), kept

    return spell
