"""The machine's limit: bare ONNX Runtime sessions on items that are prepared already, batched the best way found."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from models.contract import tensors
from models.preprocess.prepared import Prepared
from service.runtime.encoder import AnyEncoder

BUDGETS = (128, 256, 512)
"""Tokens of a batch that are tried: fewer and more were never faster on this machine."""

TRIES, TRY_S = 3, 0.7
"""How often, and how long at least, each way is tried."""

MANY = 64
"""A window of more items than this takes seconds, and one is telling."""

Batch = Sequence[Prepared]


@dataclass(frozen=True)
class Way:
    """How a window of items is run: in batches of `tokens`, so many side by side."""

    tokens: int
    side_by_side: int


class Bare:
    """Runs windows of items: as many as the clients of a server would keep in flight."""

    def __init__(self, encoder: AnyEncoder, items: Sequence[Prepared], *, window: int, threads: int) -> None:
        self._encoder = encoder
        self._windows = _windows(items, window)
        ways = [Way(tokens, n) for tokens in BUDGETS for n in sorted({1, threads})]
        tries = 1 if window > MANY else TRIES
        rates = [[self._run(way, TRY_S) for way in ways] for _ in range(tries)]
        self.way = max(zip(ways, zip(*rates, strict=True), strict=True), key=lambda pair: median(pair[1]))[0]

    def run(self, seconds: float) -> float:
        """Items a second."""
        return self._run(self.way, seconds)

    def _run(self, way: Way, seconds: float) -> float:
        done, began = 0, time.perf_counter()
        with ThreadPoolExecutor(way.side_by_side) as threads:
            while time.perf_counter() - began < seconds:
                window = next(self._windows)
                for _ in threads.map(self._run_batch, _batches(window, way)):
                    pass
                done += len(window)
        return done / (time.perf_counter() - began)

    def _run_batch(self, batch: tuple[Batch, bool]) -> None:
        items, alone = batch
        self._encoder.run([item.data for item in items], (tensors.EMBEDDING,), alone=alone)


def _windows(items: Sequence[Prepared], window: int) -> Iterator[list[Prepared]]:
    at = 0
    while True:
        yield [items[(at + i) % len(items)] for i in range(window)]
        at = (at + window) % len(items)


def _batches(window: Batch, way: Way) -> list[tuple[Batch, bool]]:
    """Neighbours in length together, the longest first: the short ones at the end even out what runs side by side."""
    batches: list[list[Prepared]] = [[]]
    for item in sorted(window, key=lambda item: item.positions, reverse=True):
        if batches[-1] and sum(other.positions for other in batches[-1]) + item.positions > way.tokens:
            batches.append([])
        batches[-1].append(item)
    return [(batch, way.side_by_side == 1) for batch in batches]
