"""Interleaved timing on a noisy machine: alternatives in turn, round by round, and their medians."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class RunLength:
    """How long is measured: `rounds` of `seconds` each way."""

    rounds: int
    seconds: int


def medians_ms(alternatives: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Run each once to warm up, then all of them `rounds` times in turn; the median of each in ms."""
    for run in alternatives.values():
        run()
    durations: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, run in alternatives.items():
            started = time.perf_counter()
            run()
            durations[name].append(1000 * (time.perf_counter() - started))
    return {name: median(times) for name, times in durations.items()}
