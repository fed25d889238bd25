"""Slicing of a batch's arrays into each waiter's result."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats
from service.engine.attention_ops import AttentionWeights
from service.engine.items import ItemOutput, QueueItem, Waiter
from service.engine.plan import TokenEmbeddingPlan
from service.errors import InferenceFailed

UnbatchedResult = list[tuple[Waiter, ItemOutput]] | InferenceFailed


def unbatch(items: Sequence[QueueItem], arrays: Mapping[str, Floats]) -> list[UnbatchedResult]:
    """For each item the results of its seats; a value that is not finite is the failure of its own item alone."""
    all_finite = all(bool(np.isfinite(array).all()) for array in arrays.values())
    return [_unbatch_item(item, arrays, row, all_finite) for row, item in enumerate(items)]


def _unbatch_item(item: QueueItem, arrays: Mapping[str, Floats], row: int, all_finite: bool) -> UnbatchedResult:
    embedding = arrays[tensors.EMBEDDING][row].copy()  # a view would keep the batch alive
    token_embeddings = (
        TokenEmbeddingPlan.extract(arrays, row, item.positions) if tensors.TOKEN_EMBEDDINGS in arrays else None
    )
    results = [
        (waiter, ItemOutput(embedding, _attention(waiter, arrays, row), token_embeddings)) for waiter in item.waiters
    ]
    if all_finite or all(map(_is_finite, (result for _, result in results))):
        return results
    return InferenceFailed("the model returned a non-finite value")


def _attention(waiter: Waiter, arrays: Mapping[str, Floats], row: int) -> AttentionWeights | None:
    return (
        None
        if waiter.attention is None
        else waiter.attention.extract(arrays, row, waiter.request.prepared[waiter.index])
    )


def _is_finite(result: ItemOutput) -> bool:
    attention = result.attention.values if result.attention else None
    arrays = (result.embedding, attention, result.token_embeddings)
    return all(bool(np.isfinite(array).all()) for array in arrays if array is not None)
