"""What each who waits for an item gets of a batch's arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats
from service.engine.condensing import Weights
from service.engine.items import Item, ItemResult, Seat
from service.engine.plan import VectorPlan
from service.errors import InferenceFailed

Shares = list[tuple[Seat, ItemResult]] | InferenceFailed


def shares(items: Sequence[Item], arrays: Mapping[str, Floats]) -> list[Shares]:
    """For each item the results of its seats; a value that is not finite is the failure of its own item alone."""
    finite = all(bool(np.isfinite(array).all()) for array in arrays.values())
    return [_share(item, arrays, row, finite) for row, item in enumerate(items)]


def _share(item: Item, arrays: Mapping[str, Floats], row: int, finite: bool) -> Shares:
    embedding = arrays[tensors.EMBEDDING][row].copy()  # a view would keep the batch alive
    vectors = VectorPlan.cut(arrays, row, item.positions) if tensors.POSITIONS in arrays else None
    results = [(seat, ItemResult(embedding, _attention(seat, arrays, row), vectors)) for seat in item.seats]
    if finite or all(map(_is_finite, (result for _, result in results))):
        return results
    return InferenceFailed("the model gave a value that is not finite")


def _attention(seat: Seat, arrays: Mapping[str, Floats], row: int) -> Weights | None:
    return None if seat.attention is None else seat.attention.cut(arrays, row, seat.ticket.prepared[seat.index])


def _is_finite(result: ItemResult) -> bool:
    attention = result.attention.values if result.attention else None
    found = (result.embedding, attention, result.vectors)
    return all(bool(np.isfinite(array).all()) for array in found if array is not None)
