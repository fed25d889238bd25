"""Relevance: layers and heads of attention reduced to one matrix or one row per item, in torch so that it exports.

Letters: b items, h heads, s longest item, m = s - prefix positions that are told. Every row sums to 1 over the item's
own positions; what stands in rows past an item's length is never read.
"""

from collections.abc import Sequence
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
        return _over_heads(weights[-1])
    if reduction == "mean":
        return reduce(torch.add, [_over_heads(layer) for layer in weights]) / len(weights)
    largest = reduce(torch.maximum, [layer.amax(dim=1) for layer in weights])
    return largest / largest.sum(dim=-1, keepdim=True)


def rollout(weights: Sequence[Tensor]) -> Tensor:
    """Attention rollout: A_l ... A_1 with A_i = (mean over heads of W_i + I) / 2, each W_i `[b, h, s, s]`.

    Source: Abnar & Zuidema, "Quantifying Attention Flow in Transformers" (2020), section 3.
    """
    residual = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype, device=weights[0].device)
    steps = [(_over_heads(layer) + residual) / 2 for layer in weights]
    return reduce(lambda below, step: step @ below, steps)


def pooled(weights: Sequence[Tensor], reduction: Reduction, shares: Tensor) -> Tensor:
    """The rows of `relevance` mixed by `shares` `[b or 1, s]`, as the encoder pools its positions: `[b, s]`.

    One row is carried through the layers, so that no product of matrices is made.
    """
    row = shares.expand(weights[0].shape[0], -1)
    if reduction == "rollout":
        return reduce(lambda r, layer: (r + _through(r, layer)) / 2, reversed(weights), row)
    if reduction == "last":
        return _through(row, weights[-1])
    if reduction == "mean":
        return reduce(torch.add, [_through(row, layer) for layer in weights]) / len(weights)
    return (row[:, None] @ relevance(weights, "max"))[:, 0]


def told(weights: Sequence[Tensor], reduction: Reduction, shares: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """The reduction as it is answered: matrix `[b, m, m]` and pooled `[b, m]`.

    Positions of the prefix (CLS) belong to no part of the item: what they were given is shared out among the others,
    in proportion.
    """
    matrix, row = relevance(weights, reduction), pooled(weights, reduction, shares)
    return _without(prefix, matrix[:, prefix:]), _without(prefix, row)


def _over_heads(layer: Tensor) -> Tensor:
    """The mean over heads, `[b, h, s, s]` -> `[b, s, s]`, as a product: ONNX Runtime reduces a middle axis slowly."""
    b, h, s, _ = layer.shape
    each = torch.full((1, h), 1 / h, dtype=layer.dtype, device=layer.device)
    return (each @ layer.reshape(b, h, s * s)).reshape(b, s, s)


def _through(row: Tensor, layer: Tensor) -> Tensor:
    """One step: row `[b, s]` through `[b, h, s, s]`, heads averaged, `[b, s]`."""
    return (row[:, None, None] @ layer).mean(dim=1)[:, 0]


def _without(prefix: int, rows: Tensor) -> Tensor:
    if prefix == 0:
        return rows
    kept = rows[..., prefix:]
    return kept / kept.sum(dim=-1, keepdim=True)
