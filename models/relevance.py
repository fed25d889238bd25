"""Relevance: layers and heads of attention reduced to one matrix per item, in torch so that it exports.

Letters: b items, h heads, s longest item. Every matrix is `[b, s, s]` with rows summing to 1 over the item's own
tokens; what stands in rows past an item's length is never read.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from models.contract.tensors import Reduction


def relevance(weights: Sequence[Tensor], reduction: Reduction) -> Tensor:
    """Reduce the layers' weights, each `[b, h, s, s]`, to `[b, s, s]`.

    rollout  product over the layers of the head-averaged weights, half of them replaced by the residual path
    last     the last layer's mean over heads
    mean     the mean over layers and heads
    max      the largest over layers and heads, scaled so that rows sum to 1
    """
    if reduction == "rollout":
        return rollout(weights)
    if reduction == "last":
        return weights[-1].mean(dim=1)
    if reduction == "mean":
        return reduce(torch.add, [layer.mean(dim=1) for layer in weights]) / len(weights)
    largest = reduce(torch.maximum, [layer.amax(dim=1) for layer in weights])
    return largest / largest.sum(dim=-1, keepdim=True)


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """Attention rollout: A_l ... A_1 with A_i = (mean over heads of W_i + I) / 2, each W_i `[b, h, s, s]`.

    Source: Abnar & Zuidema, "Quantifying Attention Flow in Transformers" (2020), section 3.
    """
    residual = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype, device=weights[0].device)
    steps = [(layer.mean(dim=1) + residual) / 2 for layer in weights]
    return reduce(lambda below, step: step @ below, steps)


def told(
    weights: Sequence[Tensor], reduction: Reduction, pool: Callable[[Tensor], Tensor], prefix: int
) -> tuple[Tensor, Tensor]:
    """The reduction as it is answered: matrix `[b, m, m]` and pooled `[b, m]`, m = s - prefix.

    `pool` takes rows `[b, s, k]` to `[b, k]` as the encoder pools its positions. Positions of the prefix (CLS) belong
    to no part of the item: what they were given is shared out among the others, in proportion.
    """
    rows = relevance(weights, reduction)
    return _without(prefix, rows[:, prefix:]), _without(prefix, pool(rows))


def _without(prefix: int, rows: Tensor) -> Tensor:
    if prefix == 0:
        return rows
    kept = rows[..., prefix:]
    return kept / kept.sum(dim=-1, keepdim=True)
