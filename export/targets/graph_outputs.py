"""Outputs of a graph: what the model is for, the token embeddings, and the recorded attention.

Letters: b items, s positions of the longest item, h heads, e width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from models.artifact import tensors
from models.relevance import combine_heads, reduce_attention


@dataclass(frozen=True)
class CapturedAttention:
    """What was observed of one batch: each layer's weights `[b, h, s, s]`, those of the chosen heads, and
    `pooling_weights` `[b or 1, s]`, what each position has of the vector. Of the positions, `num_prefix_tokens` belong
    to no part of the item."""

    weights: Sequence[Tensor]
    head_weights: Sequence[Tensor]
    pooling_weights: Tensor
    num_prefix_tokens: int = 0


def require_token_embeddings(token_embeddings: Tensor | None) -> Tensor:
    """Return the token embeddings that every recording encoder leaves."""
    if token_embeddings is None:
        raise ValueError("the encoder recorded no token embeddings")
    return token_embeddings


def graph_outputs(
    output: Tensor,
    token_embeddings: Tensor,
    attention: CapturedAttention | None,
    sparse_tokens: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """In the order of `ExportTarget.outputs`; `token_embeddings` is `[b, s, e]`, `sparse_tokens` `[b, c]`."""
    vectors = [tensor.float() for tensor in (output, token_embeddings, sparse_tokens) if tensor is not None]
    if attention is None:
        return tuple(vectors)
    row = attention.pooling_weights[:, None, None]
    relevances = reduce_attention(attention.weights, attention.pooling_weights, attention.num_prefix_tokens)
    reduced = [tensor for r in tensors.REDUCTIONS for tensor in (relevances[r].matrix, relevances[r].pooled)]
    raw = [
        tensor
        for layer, head_weights in zip(attention.weights, attention.head_weights, strict=True)
        for tensor in (
            head_weights,
            (row @ head_weights)[:, :, 0],
            *_combined_heads(layer, attention.pooling_weights[:, None]),
        )
    ]
    return (*vectors, *reduced, *raw)


def _combined_heads(layer: Tensor, row: Tensor) -> Iterator[Tensor]:
    """In the order of `tensors.layer_outputs`; `row` is `[b or 1, 1, s]`."""
    for combination in tensors.COMBINATIONS:
        matrix = combine_heads(layer, combination)
        yield matrix
        yield (row @ matrix)[:, 0]
