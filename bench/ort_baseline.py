"""Baseline: bare ONNX Runtime sessions on preprocessed inputs, with the best batching found."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from models.artifact import tensors
from models.preprocess.model_input import ModelInput
from service.runtime.encoder import AnyEncoder

TOKEN_BUDGETS = (128, 256, 512)
"""Tokens per batch that are tried: fewer and more were never faster on this machine."""

CALIBRATION_RUNS, CALIBRATION_INPUTS = 5, 64
"""Runs of each strategy, interleaved, and the minimum number of items; all strategies run the same items."""

Batch = Sequence[ModelInput]


@dataclass(frozen=True)
class BatchStrategy:
    """Batches of at most `max_tokens` tokens each, `concurrent_batches` of them at a time."""

    max_tokens: int
    concurrent_batches: int


class OrtBaseline:
    """Runs windows of items: as many as the clients of a server would keep in flight."""

    def __init__(self, encoder: AnyEncoder, items: Sequence[ModelInput], *, window: int, threads: int) -> None:
        self._encoder = encoder
        self._windows = _windows(items, window)
        strategies = [BatchStrategy(tokens, n) for tokens in TOKEN_BUDGETS for n in sorted({1, threads})]
        calibration_windows = [next(self._windows) for _ in range(max(1, CALIBRATION_INPUTS // window))]
        durations = [
            [self._time_windows(calibration_windows, way) for way in strategies] for _ in range(CALIBRATION_RUNS)
        ]
        self.strategy = min(
            zip(strategies, zip(*durations, strict=True), strict=True), key=lambda pair: median(pair[1])
        )[0]

    def run(self, seconds: float) -> float:
        """Items a second."""
        done, elapsed = 0, 0.0
        while elapsed < seconds:
            window = next(self._windows)
            elapsed += self._time_windows([window], self.strategy)
            done += len(window)
        return done / elapsed

    def _time_windows(self, windows: Sequence[Batch], strategy: BatchStrategy) -> float:
        """One window after another."""
        with ThreadPoolExecutor(strategy.concurrent_batches) as threads:
            started = time.perf_counter()
            for window in windows:
                for _ in threads.map(self._run_batch, _form_batches(window, strategy)):
                    pass
            return time.perf_counter() - started

    def _run_batch(self, batch: tuple[Batch, bool]) -> None:
        items, alone = batch
        self._encoder.run([item.data for item in items], (tensors.OUTPUT,), exclusive=alone)


def _windows(items: Sequence[ModelInput], window: int) -> Iterator[list[ModelInput]]:
    at = 0
    while True:
        yield [items[(at + i) % len(items)] for i in range(window)]
        at = (at + window) % len(items)


def _form_batches(window: Batch, strategy: BatchStrategy) -> list[tuple[Batch, bool]]:
    """Neighbors in length together, the longest first: the short ones at the end even out what runs side by side."""
    batches: list[list[ModelInput]] = [[]]
    for item in sorted(window, key=lambda item: item.num_tokens, reverse=True):
        if batches[-1] and sum(other.num_tokens for other in batches[-1]) + item.num_tokens > strategy.max_tokens:
            batches.append([])
        batches[-1].append(item)
    return [(batch, strategy.concurrent_batches == 1) for batch in batches]
