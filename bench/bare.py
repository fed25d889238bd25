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

TRIES, TRIED_ITEMS = 5, 64
"""How often each way is tried, in turn, and on how many items at least: the same ones for each way."""

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
        same = [next(self._windows) for _ in range(max(1, TRIED_ITEMS // window))]
        took = [[self._seconds(same, way) for way in ways] for _ in range(TRIES)]
        self.way = min(zip(ways, zip(*took, strict=True), strict=True), key=lambda pair: median(pair[1]))[0]

    def run(self, seconds: float) -> float:
        """Items a second."""
        done, took = 0, 0.0
        while took < seconds:
            window = next(self._windows)
            took += self._seconds([window], self.way)
            done += len(window)
        return done / took

    def _seconds(self, windows: Sequence[Batch], way: Way) -> float:
        """One window after another."""
        with ThreadPoolExecutor(way.side_by_side) as threads:
            began = time.perf_counter()
            for window in windows:
                for _ in threads.map(self._run_batch, _batches(window, way)):
                    pass
            return time.perf_counter() - began

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
