"""A model without ONNX Runtime for the engine's tests: it implements the engine's own protocol."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from models.contract import tensors
from models.contract.arrays import Floats, Ints
from service.errors import InferenceFailed
from tests.waiting import PATIENCE_S

FAILS, NOT_FINITE, FAULT = 666, 777, 888

_keys = count()


def ones(n: int) -> Ints:
    """Ids of an item of that length."""
    return np.ones(n, dtype=np.int64)


@dataclass(frozen=True)
class FakeItem:
    """An item that is `data` and nothing else."""

    data: Ints
    truncated: bool = False
    key: bytes = field(default_factory=lambda: next(_keys).to_bytes(8, "big"))
    """Of its own unless told otherwise: only items of one key are the same."""

    @property
    def positions(self) -> int:
        return len(self.data)


class FakeModel:
    """Embeds ids as `[sum, count]`, each as `[id, 1]`, and attends uniformly. Fails on the id `FAILS`, answers NaN on
    `NOT_FINITE`, dies of `FAULT`.

    Once `lost` it fails on everything. While `gate` is closed a run waits; `batches` records the lengths of every batch
    that ran.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.lost = False
        self.batches: list[list[int]] = []
        self.alone: list[bool] = []

    def enter(self) -> None:
        """Wait until one more run has begun than was waited for."""
        assert self.entered.acquire(timeout=PATIENCE_S)

    def run(
        self, items: Sequence[Ints], outputs: Sequence[str], heads: Sequence[int] = (), *, alone: bool = True
    ) -> dict[str, Floats]:
        self.alone.append(alone)
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        self.batches.append([len(ids) for ids in items])
        if any(FAULT in ids for ids in items):
            raise ZeroDivisionError("a fault that no one foresaw")
        if self.lost or any(FAILS in ids for ids in items):
            raise InferenceFailed("the model could not be run")
        return {name: self._array(name, items) for name in outputs}

    def check(self) -> None:
        if self.lost:
            raise InferenceFailed("the model could not be run")

    def _array(self, name: str, items: Sequence[Ints]) -> Floats:
        if name == tensors.EMBEDDING:
            rows = [[np.nan if NOT_FINITE in ids else ids.sum(), len(ids)] for ids in items]
            return np.array(rows, dtype=np.float32)
        longest = max(map(len, items))
        if name == tensors.POSITIONS:
            padded = [np.pad(ids, (0, longest - len(ids)), constant_values=-1) for ids in items]
            return np.stack([np.stack(padded), np.ones((len(items), longest))], axis=2).astype(np.float32)
        array = np.zeros((len(items), longest), dtype=np.float32)
        for row, ids in enumerate(items):
            array[row, : len(ids)] = 1 / len(ids)
        return np.repeat(array[:, None], longest, axis=1) if name.endswith("matrix") else array
