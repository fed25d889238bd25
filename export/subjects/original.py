"""What the trained original says of an item: what a graph is held against.

Letters: n positions of one item, m of them that attention is told on, h heads, e width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.contract import tensors
from models.contract.arrays import Floats
from models.relevance import over_heads, told


@dataclass(frozen=True)
class Answer:
    """The vector, those of the positions, each layer's weights and each position's share of the vector."""

    vector: Tensor  # [1, e]
    positions: Tensor  # [1, n, e]
    weights: Sequence[Tensor]  # a layer: [1, h, n, n]
    shares: Tensor  # [1, n]


Original = Callable[[Tensor], Answer]
"""One item by itself, token ids `[1, n]` or pixels `[1, y, x, 3]`."""


@dataclass(frozen=True)
class Expected:
    """What the trained original says of one item."""

    embedding: Floats  # [e], length 1
    positions: Floats  # [n, e]
    shares: Floats  # [n]
    weights: list[Floats]  # a layer: [h, n, n]
    matrices: dict[tensors.Reduction, Floats]  # [m, m]
    pooled: dict[tensors.Reduction, Floats]  # [m]

    @classmethod
    def of(cls, answer: Answer, prefix: int) -> "Expected":
        """Of what an `Original` answered. `prefix` positions belong to no part of the item."""
        vector, shares = answer.vector.double(), _at_least_single(answer.shares)
        relevances = told([_at_least_single(layer) for layer in answer.weights], shares, prefix)
        return cls(
            embedding=(vector / vector.norm())[0].numpy(),
            positions=answer.positions[0].double().numpy(),
            shares=answer.shares[0].double().numpy(),
            weights=[layer[0].float().numpy() for layer in answer.weights],  # in half the memory
            matrices={r: each.matrix[0].numpy() for r, each in relevances.items()},
            pooled={r: each.pooled[0].numpy() for r, each in relevances.items()},
        )

    def raw(self, layer: int) -> dict[str, Floats]:
        """What a graph is to say of that layer, by the names of `tensors.raw`: `[h, n, n]`, `[n, n]`, pooled a row."""
        weights = self.weights[layer]
        found = {tensors.weights(layer): weights, tensors.pooled_weights(layer): self.shares @ weights}
        for how in tensors.COMBINATIONS:
            matrix = over_heads(torch.from_numpy(weights)[None], how)[0].numpy()
            found[tensors.combined(layer, how)] = matrix
            found[tensors.pooled_combined(layer, how)] = self.shares @ matrix
        return found


def _at_least_single(tensor: Tensor) -> Tensor:
    """An original in half precision is reduced in float32: the reductions are no part of it."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
