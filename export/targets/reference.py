"""Reference outputs of the trained original for one item; the graph is compared with them.

Letters: n positions of one item, m of them that attention is reported on, h heads, e width, c labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.artifact import tensors
from models.artifact.arrays import Floats
from models.relevance import combine_heads, reduce_attention


@dataclass(frozen=True)
class ReferenceOutput:
    """The output, the vectors of the positions, each layer's weights and each position's share in the pooling."""

    output: Tensor  # [1, e]; a head's logits [1, c], or [1, n, c]
    token_embeddings: Tensor  # [1, n, e]
    weights: Sequence[Tensor]  # a layer: [1, h, n, n]
    pooling_weights: Tensor  # [1, n]


ReferenceModel = Callable[[Tensor], ReferenceOutput]
"""Computes one item alone: token ids `[1, n]`, with token types `[1, 2, n]`, or pixels `[1, y, x, 3]`."""


@dataclass(frozen=True)
class ExpectedOutputs:
    """What the trained original says of one item."""

    output: Floats  # [e]; a head's logits [c], or [n, c]
    token_embeddings: Floats  # [n, e]
    pooling_weights: Floats  # [n]
    weights: list[Floats]  # a layer: [h, n, n]
    matrices: dict[tensors.Reduction, Floats]  # [m, m]
    pooled: dict[tensors.Reduction, Floats]  # [m]

    @classmethod
    def from_reference(cls, answer: ReferenceOutput, num_prefix_tokens: int) -> "ExpectedOutputs":
        """Of what a `ReferenceModel` answered. `num_prefix_tokens` positions belong to no part of the item."""
        pooling_weights = _at_least_float32(answer.pooling_weights)
        relevances = reduce_attention(
            [_at_least_float32(layer) for layer in answer.weights], pooling_weights, num_prefix_tokens
        )
        return cls(
            output=answer.output[0].double().numpy(),
            token_embeddings=answer.token_embeddings[0].double().numpy(),
            pooling_weights=answer.pooling_weights[0].double().numpy(),
            weights=[layer[0].float().numpy() for layer in answer.weights],  # in half the memory
            matrices={r: each.matrix[0].numpy() for r, each in relevances.items()},
            pooled={r: each.pooled[0].numpy() for r, each in relevances.items()},
        )

    def attention_outputs(self, layer: int) -> dict[str, Floats]:
        """Return the expected outputs of a layer, by the names of `tensors.layer_outputs`:
        `[h, n, n]`, `[n, n]`, pooled a row."""
        weights = self.weights[layer]
        outputs = {
            tensors.layer_weights(layer): weights,
            tensors.pooled_layer_weights(layer): self.pooling_weights @ weights,
        }
        for combination in tensors.COMBINATIONS:
            matrix = combine_heads(torch.from_numpy(weights)[None], combination)[0].numpy()
            outputs[tensors.combined_heads(layer, combination)] = matrix
            outputs[tensors.pooled_combined_heads(layer, combination)] = self.pooling_weights @ matrix
        return outputs


def _at_least_float32(tensor: Tensor) -> Tensor:
    """Convert half precision to float32: the reductions are not part of the original."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
