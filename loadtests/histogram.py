"""Latencies, counted in buckets that grow by 1 %: any percentile to within that, in bounded memory, and addable."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

GROWTH = math.log(1.01)
LEAST_MS = 0.01


class Histogram:
    """Of times in ms, each told as the upper edge of its bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts = Counter(counts or {})

    def add(self, ms: float) -> None:
        self._counts[math.ceil(math.log(ms / LEAST_MS) / GROWTH) if ms > LEAST_MS else 0] += 1

    def __iadd__(self, other: "Histogram") -> "Histogram":
        self._counts.update(other._counts)
        return self

    @property
    def count(self) -> int:
        return self._counts.total()

    @property
    def mean(self) -> float:
        """In ms; 0 of none."""
        total = sum(_edge(bucket) * count for bucket, count in self._counts.items())
        return total / self.count if self._counts else 0.0

    @property
    def largest(self) -> float:
        return _edge(max(self._counts)) if self._counts else 0.0

    def percentile(self, share: float, *, lost: int = 0) -> float:
        """In ms, what `share` (0 to 1) of all are no slower than; 0 of none. `lost` more are slower than any."""
        wanted, seen = math.ceil(share * (self.count + lost)), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return _edge(bucket)
        return math.inf if wanted else 0.0

    def cumulative(self) -> list[tuple[float, float]]:
        """(ms, share that is no slower), fastest first."""
        seen, found = 0, []
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            found.append((_edge(bucket), seen / self.count))
        return found

    def dump(self) -> dict[int, int]:
        """For another process."""
        return dict(self._counts)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One of all."""
    found = Histogram()
    for each in histograms:
        found += each
    return found


def _edge(bucket: int) -> float:
    return LEAST_MS * math.exp(GROWTH * bucket)
