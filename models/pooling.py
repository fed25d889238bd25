"""Pooling of positions to an embedding, and the weight of each position in it.

Letters: b items, s longest item, e width.
"""

import torch
from torch import Tensor

from models.artifact.specs import Pooling


def pooling_weights(token_mask: Tensor, pooling: Pooling, dtype: torch.dtype) -> Tensor:
    """Return the weight of each position in an item's vector: real `[b, s]` -> `[b, s]`, rows summing to 1.

    "mean" gives the real ones alike, "cls" all to the first position, "last" all to the last real one. A fourth
    way, "attention", is the encoder's own to tell.
    """
    if pooling == "mean":
        weights = token_mask.to(dtype)
        return weights / weights.sum(dim=1, keepdim=True)
    columns = torch.arange(token_mask.shape[1], device=token_mask.device)
    pooled_index = token_mask.sum(dim=1, keepdim=True) - 1 if pooling == "last" else 0
    return (columns[None] == pooled_index).to(dtype).expand(token_mask.shape)


def pool(rows: Tensor, token_mask: Tensor, pooling: Pooling) -> Tensor:
    """Pool the real rows of each item: rows `[b, s, e]`, real `[b, s]` -> `[b, e]`."""
    if pooling == "cls":
        return rows[:, 0]
    if pooling == "last":
        index = token_mask.sum(dim=1)[:, None, None] - 1
        return rows.gather(1, index.expand(-1, 1, rows.shape[-1]))[:, 0]
    exact = torch.promote_types(rows.dtype, torch.float32)  # half floats would lose their last digits in the sum
    return (rows.to(exact) * pooling_weights(token_mask, pooling, exact)[:, :, None]).sum(dim=1).to(rows.dtype)
