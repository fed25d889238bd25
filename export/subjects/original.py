"""What the trained original says of an item: what a graph is held against.

Letters: n positions of one item, m of them that attention is told on, h heads, e width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from models.contract import tensors
from models.contract.arrays import Floats
from models.relevance import told

Original = Callable[[Tensor], tuple[Tensor, Sequence[Tensor], Tensor]]
"""One item by itself, token ids `[1, n]` or pixels `[1, y, x, 3]` -> the vector `[1, e]`, each layer's weights
`[1, h, n, n]` and each position's share of the vector `[1, n]`, in float64."""


@dataclass(frozen=True)
class Expected:
    """What the trained original says of one item."""

    embedding: Floats  # [e], length 1
    weights: list[Floats]  # a layer: [h, n, n]
    matrices: dict[tensors.Reduction, Floats]  # [m, m]
    pooled: dict[tensors.Reduction, Floats]  # [m]

    @classmethod
    def of(cls, vector: Tensor, weights: Sequence[Tensor], shares: Tensor, prefix: int) -> "Expected":
        """Of what an `Original` answered. `prefix` positions belong to no part of the item."""
        relevances = told(weights, shares, prefix)
        return cls(
            embedding=(vector / vector.norm())[0].numpy(),
            weights=[layer[0].numpy() for layer in weights],
            matrices={r: each.matrix[0].numpy() for r, each in relevances.items()},
            pooled={r: each.pooled[0].numpy() for r, each in relevances.items()},
        )
