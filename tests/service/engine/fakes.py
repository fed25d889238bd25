"""A model without ONNX Runtime for the engine's tests: it implements the engine's own protocol."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats, Ints
from service.errors import InferenceFailed
from tests.polling import WAIT_TIMEOUT_S

FAILING_ID, NAN_ID, CRASHING_ID = 666, 777, 888

_keys = count()


def ids_of_length(n: int) -> Ints:
    """Ids of an item of that length."""
    return np.ones(n, dtype=np.int64)


@dataclass(frozen=True)
class FakeItem:
    """An item that is `data` and nothing else."""

    data: Ints
    truncated: bool = False
    key: bytes = field(default_factory=lambda: next(_keys).to_bytes(8, "big"))
    """Unique by default. Deduplication treats items with equal keys as identical."""

    @property
    def num_tokens(self) -> int:
        return len(self.data)


class FakeModel:
    """Embeds ids as `[sum, count]`, each as `[id, 1]`, and attends uniformly. Fails on the id `FAILING_ID`, answers NaN
    on `NAN_ID`, dies of `CRASHING_ID`.

    Once `always_fails` it fails on everything. While `gate` is closed a run waits; `batches` records the lengths of
    every batch that ran.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.always_fails = False
        self.batches: list[list[int]] = []
        self.exclusive: list[bool] = []

    def wait_for_run(self) -> None:
        """Wait until one more run has begun than was waited for."""
        assert self.entered.acquire(timeout=WAIT_TIMEOUT_S)

    def run(
        self, items: Sequence[Ints], outputs: Sequence[str], heads: Sequence[int] = (), *, exclusive: bool = True
    ) -> dict[str, Floats]:
        self.exclusive.append(exclusive)
        self.entered.release()
        assert self.gate.wait(WAIT_TIMEOUT_S)
        self.batches.append([len(ids) for ids in items])
        if any(CRASHING_ID in ids for ids in items):
            raise ZeroDivisionError("a fault that no one foresaw")
        if self.always_fails or any(FAILING_ID in ids for ids in items):
            raise InferenceFailed("the model could not be run")
        return {name: self._array(name, items) for name in outputs}

    def item_output(self, arrays: Mapping[str, Floats], row: int, positions: int) -> Floats:
        output: Floats = arrays[tensors.OUTPUT][row]
        return (output[:positions] if output.ndim == 2 else output).copy()

    def self_test(self) -> None:
        if self.always_fails:
            raise InferenceFailed("the model could not be run")

    def _array(self, name: str, items: Sequence[Ints]) -> Floats:
        if name == tensors.OUTPUT:
            rows = [[np.nan if NAN_ID in ids else ids.sum(), len(ids)] for ids in items]
            return np.array(rows, dtype=np.float32)
        longest = max(map(len, items))
        if name == tensors.TOKEN_EMBEDDINGS:
            padded = [np.pad(ids, (0, longest - len(ids)), constant_values=-1) for ids in items]
            return np.stack([np.stack(padded), np.ones((len(items), longest))], axis=2).astype(np.float32)
        array = np.zeros((len(items), longest), dtype=np.float32)
        for row, ids in enumerate(items):
            array[row, : len(ids)] = 1 / len(ids)
        return np.repeat(array[:, None], longest, axis=1) if name.endswith("matrix") else array
