"""Is it the server that is slow, or what loads it?"""

import time
from dataclasses import dataclass

BUSY = 0.9
"""Share of a processor from which a generator, which has one, is taken for the bottleneck."""

LATE_MS = 50.0
"""So late the 99th of 100 requests may be sent."""


class Meter:
    """Share of one processor that this process has taken since it was made, or last read."""

    def __init__(self) -> None:
        self._then = time.perf_counter(), time.process_time()

    def read(self) -> float:
        now = time.perf_counter(), time.process_time()
        wall, worked = (b - a for a, b in zip(self._then, now, strict=True))
        self._then = now
        return worked / wall if wall > 0 else 0.0


@dataclass(frozen=True)
class Verdict:
    """`processors` is the busiest generator's share of one, `lag_ms` the 99th percentile of how late it sent."""

    processors: float
    lag_ms: float

    @property
    def bottleneck(self) -> bool:
        """Whether what was measured is the generator."""
        return self.processors > BUSY or self.lag_ms > LATE_MS
