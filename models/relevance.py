"""Reductions of attention: layers and heads reduced to one matrix or one row per input, in torch for export.

Letters: b items, h heads, s longest item, m = s - prefix positions that are reported. Every row sums to 1 over the
item's own positions; rows past an item's length are never read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from models.artifact.tensors import Combination, Reduction


@dataclass(frozen=True)
class AttentionReduction:
    """One reduction as it is returned: `matrix` `[b, m, m]`, and `pooled` `[b, m]` as the encoder pools its
    positions."""

    matrix: Tensor
    pooled: Tensor


def reduce_attention(
    weights: Sequence[Tensor], pooling_weights: Tensor, num_prefix_tokens: int
) -> dict[Reduction, AttentionReduction]:
    """Compute every reduction of the layers' weights, each `[b, h, s, s]`; none without layers.

    rollout  product over the layers of the head-averaged weights, half of them replaced by the residual path
    last     the last layer's mean over heads
    mean     the mean over layers and heads
    max      the largest over layers and heads, scaled so that rows sum to 1

    `pooling_weights` `[b or 1, s]` is what each position has of the item's vector. Positions of the prefix (CLS) belong
    to no part of the item: what they were given is shared out among the others, in proportion.
    """
    if not weights:
        return {}
    means = [combine_heads(layer, "mean") for layer in weights]
    row = pooling_weights.expand(weights[0].shape[0], -1)[:, None]
    maximum = _normalize_rows(reduce(torch.maximum, [layer.amax(dim=1) for layer in weights]))
    mean = reduce(torch.add, means) / len(means)
    reductions: dict[Reduction, tuple[Tensor, Tensor]] = {
        # One row is carried through the layers: no product of matrices is made for it.
        "rollout": (rollout(means), reduce(lambda r, layer: (r + r @ layer) / 2, reversed(means), row)),
        "last": (means[-1], row @ means[-1]),
        "mean": (mean, row @ mean),
        "max": (maximum, row @ maximum),
    }
    return {
        reduction: AttentionReduction(
            _drop_prefix(num_prefix_tokens, matrix[:, num_prefix_tokens:]),
            _drop_prefix(num_prefix_tokens, pooled[:, 0]),
        )
        for reduction, (matrix, pooled) in reductions.items()
    }


def rollout(means: Sequence[Tensor]) -> Tensor:
    """Compute attention rollout: A_l ... A_1 with A_i = (W_i + I) / 2, each W_i `[b, s, s]` averaged over heads.

    Source: Abnar & Zuidema, "Quantifying Attention Flow in Transformers" (2020), section 3.
    """
    residual = torch.eye(means[0].shape[-1], dtype=means[0].dtype, device=means[0].device)
    return reduce(lambda below, step: step @ below, [(layer + residual) / 2 for layer in means])


def combine_heads(layer: Tensor, combination: Combination) -> Tensor:
    """Combine one layer's weights `[b, h, s, s]` to one matrix `[b, s, s]`: the mean over heads, or the maximum, scaled
    so that rows sum to 1."""
    if combination == "max":
        return _normalize_rows(layer.amax(dim=1))
    # As a product: ONNX Runtime reduces a middle axis slowly.
    b, h, s, _ = layer.shape
    averaging_row = torch.full((1, h), 1 / h, dtype=layer.dtype, device=layer.device)
    return (averaging_row @ layer.reshape(b, h, s * s)).reshape(b, s, s)


def _normalize_rows(rows: Tensor) -> Tensor:
    """Scale rows `[..., s]` so that each sums to 1."""
    return rows / rows.sum(dim=-1, keepdim=True)


def _drop_prefix(num_prefix_tokens: int, rows: Tensor) -> Tensor:
    return rows if num_prefix_tokens == 0 else _normalize_rows(rows[..., num_prefix_tokens:])
