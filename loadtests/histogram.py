"""Histogram of latencies in buckets that grow by 1 %: percentiles within 1 %, bounded memory, additive."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

GROWTH = math.log(1.01)
MIN_MS = 0.01


class Histogram:
    """Histogram of times in ms; each time is reported as the upper edge of its bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts = Counter(counts or {})

    def add(self, ms: float) -> None:
        self._counts[math.ceil(math.log(ms / MIN_MS) / GROWTH) if ms > MIN_MS else 0] += 1

    def __iadd__(self, other: "Histogram") -> "Histogram":
        self._counts.update(other._counts)
        return self

    @property
    def count(self) -> int:
        return self._counts.total()

    @property
    def mean(self) -> float:
        """Mean in ms; 0 if empty."""
        total = sum(_bucket_edge(bucket) * count for bucket, count in self._counts.items())
        return total / self.count if self._counts else 0.0

    @property
    def maximum(self) -> float:
        return _bucket_edge(max(self._counts)) if self._counts else 0.0

    def percentile(self, fraction: float, *, not_ok: int = 0) -> float:
        """Return the latency in ms that a `fraction` (0 to 1) does not exceed; 0 if empty. `not_ok` further requests
        count as slower than any."""
        rank, cumulative = math.ceil(fraction * (self.count + not_ok)), 0
        for bucket in sorted(self._counts):
            cumulative += self._counts[bucket]
            if cumulative >= rank:
                return _bucket_edge(bucket)
        return math.inf if rank else 0.0

    def cumulative(self) -> list[tuple[float, float]]:
        """Return (ms, fraction that is no slower) pairs, fastest first."""
        total, points = 0, []
        for bucket in sorted(self._counts):
            total += self._counts[bucket]
            points.append((_bucket_edge(bucket), total / self.count))
        return points

    def dump(self) -> dict[int, int]:
        """Return the counts in a form that another process can load."""
        return dict(self._counts)


def merge_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """Merge several histograms to one."""
    result = Histogram()
    for each in histograms:
        result += each
    return result


def _bucket_edge(bucket: int) -> float:
    return MIN_MS * math.exp(GROWTH * bucket)
