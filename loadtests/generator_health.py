"""Health of the load generator: its CPU use, and its delay."""

import time
from dataclasses import dataclass

MAX_CPU = 0.9
"""Fraction of one processor above which a generator, which can use one, counts as saturated."""

MAX_SCHEDULE_DELAY_MS = 50.0
"""Maximum 99th percentile of how late requests are sent."""


class CpuMeter:
    """Measures the fraction of one processor that this process used since construction, or the last reading."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()

    def read(self) -> float:
        now = time.perf_counter(), time.process_time()
        wall, cpu = (b - a for a, b in zip(self._last, now, strict=True))
        self._last = now
        return cpu / wall if wall > 0 else 0.0


@dataclass(frozen=True)
class GeneratorHealth:
    """Health of the generators: `cpu` is the busiest one's fraction of a processor, `schedule_delay_p99_ms` how late it
    sent (99th percentile)."""

    cpu: float
    schedule_delay_p99_ms: float

    @property
    def saturated(self) -> bool:
        """Return whether the generator, and not the server, limits the result."""
        return self.cpu > MAX_CPU or self.schedule_delay_p99_ms > MAX_SCHEDULE_DELAY_MS
