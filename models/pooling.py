"""From token vectors to an item's vector, and from a weight matrix to an item's relevance: one pooling for both.

Letters: b items, s longest item, e width.
"""

from torch import Tensor

from models.contract.manifest import Pooling


def pool(rows: Tensor, real: Tensor, kind: Pooling) -> Tensor:
    """Pool the real rows of each item: rows `[b, s, e]`, real `[b, s]` -> `[b, e]`.

    "mean" averages them; "cls" takes the first.
    """
    if kind == "cls":
        return rows[:, 0]
    share = real.to(rows.dtype)
    share = share / share.sum(dim=1, keepdim=True)
    return (rows * share[:, :, None]).sum(dim=1)
