"""From positions to an item's vector, and how much of the vector each position has.

Letters: b items, s longest item, e width.
"""

import torch
from torch import Tensor

from models.contract.specs import Pooling


def shares(real: Tensor, kind: Pooling, dtype: torch.dtype) -> Tensor:
    """What each position has of an item's vector: real `[b, s]` -> `[b, s]`, rows summing to 1.

    "mean" gives the real ones alike, "cls" all to the first position, "last" all to the last real one. A fourth
    way, "attention", is the encoder's own to tell.
    """
    if kind == "mean":
        share = real.to(dtype)
        return share / share.sum(dim=1, keepdim=True)
    columns = torch.arange(real.shape[1], device=real.device)
    chosen = real.sum(dim=1, keepdim=True) - 1 if kind == "last" else 0
    return (columns[None] == chosen).to(dtype).expand(real.shape)


def pool(rows: Tensor, real: Tensor, kind: Pooling) -> Tensor:
    """Pool the real rows of each item: rows `[b, s, e]`, real `[b, s]` -> `[b, e]`."""
    if kind == "cls":
        return rows[:, 0]
    if kind == "last":
        index = real.sum(dim=1)[:, None, None] - 1
        return rows.gather(1, index.expand(-1, 1, rows.shape[-1]))[:, 0]
    exact = torch.promote_types(rows.dtype, torch.float32)  # half floats would lose their last digits in the sum
    return (rows.to(exact) * shares(real, kind, exact)[:, :, None]).sum(dim=1).to(rows.dtype)
