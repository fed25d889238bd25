"""Recorder of results, by the second in which each request was scheduled.

A process records its own; workers send theirs to the master, which adds them up.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram


@dataclass
class TimeBucket:
    """Results of one second. `latency` is that of valid responses, by the request's name; `stages` are by the server's
    names; `schedule_delay` is how late requests were sent.

    `offered` were meant to be sent, `dropped` of them could not be: too many were on their way. `problems` count what
    was wrong with those that failed. `completed` right answers came in this second, whenever they were asked for.
    """

    latency: dict[str, Histogram] = field(default_factory=dict)
    stages: dict[str, Histogram] = field(default_factory=dict)
    schedule_delay: Histogram = field(default_factory=Histogram)
    problems: Counter[str] = field(default_factory=Counter)
    offered: int = 0
    dropped: int = 0
    completed: int = 0

    @property
    def ok(self) -> int:
        return sum(each.count for each in self.latency.values())

    @property
    def failed(self) -> int:
        return self.problems.total()

    @property
    def in_flight(self) -> int:
        """Number of requests that were sent and have no result yet."""
        return max(0, self.offered - self.dropped - self.ok - self.failed)

    @property
    def not_ok(self) -> int:
        """Number of requests without a valid response: their latencies count as longer than any."""
        return self.dropped + self.failed + self.in_flight

    def add(self, other: "TimeBucket") -> None:
        for mine, theirs in ((self.latency, other.latency), (self.stages, other.stages)):
            for name, histogram in theirs.items():
                mine[name] = mine.get(name, Histogram())
                mine[name] += histogram
        self.schedule_delay += other.schedule_delay
        self.problems += other.problems
        self.offered += other.offered
        self.dropped += other.dropped
        self.completed += other.completed

    def dump(self) -> dict[str, Any]:
        return {
            "latency": {name: each.dump() for name, each in self.latency.items()},
            "stages": {name: each.dump() for name, each in self.stages.items()},
            "lag": self.schedule_delay.dump(),
            "problems": dict(self.problems),
            "offered": self.offered,
            "dropped": self.dropped,
            "done": self.completed,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "TimeBucket":
        latency, stages = (
            {name: Histogram(each) for name, each in dumped[part].items()} for part in ("latency", "stages")
        )
        lag, problems = Histogram(dumped["lag"]), Counter(dumped["problems"])
        return cls(latency, stages, lag, problems, dumped["offered"], dumped["dropped"], dumped["done"])


_CLOCK_OFFSET = time.time() - time.perf_counter()


def steady_clock() -> float:
    """Return the wall clock at process start plus monotonic time: processes of a run agree on it."""
    return _CLOCK_OFFSET + time.perf_counter()


BucketKey = tuple[int, int]
"""Number of a rate stage, and a second of the run."""


class Recorder:
    """Records results by second. `clock` gives seconds that all processes of a run agree on; `started_at` is the start
    of the run by it.

    What is recorded is kept by the tempo that it was sent under, too: phases do not begin on whole seconds.
    """

    def __init__(self, clock: Callable[[], float] = steady_clock) -> None:
        self.clock = clock
        self.started_at = clock()
        self._buckets: dict[BucketKey, TimeBucket] = {}
        self._pending: dict[BucketKey, TimeBucket] = {}

    def restart(self, at: float) -> None:
        """Drop all results, and count from now on."""
        self.started_at = at
        self._buckets, self._pending = {}, {}

    def record_offered(self, rate_stage: int, intended: float) -> None:
        """Record a request scheduled for that time."""
        self._bucket(rate_stage, intended).offered += 1

    def record_dropped(self, rate_stage: int, intended: float) -> None:
        """Record a request that was scheduled and could not be sent."""
        bucket = self._bucket(rate_stage, intended)
        bucket.offered += 1
        bucket.dropped += 1

    def record_sent(self, rate_stage: int, intended: float) -> None:
        """Record that a request is in flight."""
        self._bucket(rate_stage, intended).schedule_delay.add(1e3 * (self.clock() - intended))

    def record_failed(self, rate_stage: int, intended: float, problem: str) -> None:
        """Record a request without a response, or with an invalid one."""
        self._bucket(rate_stage, intended).problems[problem] += 1

    def record_completed(
        self, rate_stage: int, intended: float, name: str, ms: float, stages: Mapping[str, float], *, completed_in: int
    ) -> None:
        """Record a valid response, which may have arrived in a later stage, `completed_in`."""
        bucket = self._bucket(rate_stage, intended)
        bucket.latency.setdefault(name, Histogram()).add(ms)
        for stage, stage_ms in stages.items():
            bucket.stages.setdefault(stage, Histogram()).add(stage_ms)
        self._bucket(completed_in, self.clock()).completed += 1

    def take_pending(self) -> list[tuple[int, int, dict[str, Any]]]:
        """Return what is new since the last call, for another process."""
        pending, self._pending = self._pending, {}
        return [(*cell, second.dump()) for cell, second in pending.items()]

    def merge(self, taken: Iterable[tuple[int, int, Mapping[str, Any]]]) -> None:
        """Add the results that another process took."""
        for rate_stage, at, dumped in taken:
            self._pending.setdefault((rate_stage, at), TimeBucket()).add(TimeBucket.load(dumped))

    def totals_of(self, rate_stage: int) -> TimeBucket:
        """Return the totals of the requests sent in one rate stage."""
        return _sum_buckets(second for cell, second in self._merge_pending().items() if cell[0] == rate_stage)

    def by_second(self) -> dict[int, TimeBucket]:
        """Return the results by the second in which each request was scheduled, first to last."""
        buckets: dict[int, TimeBucket] = {}
        for (_, at), second in sorted(self._merge_pending().items(), key=lambda entry: entry[0][1]):
            buckets.setdefault(at, TimeBucket()).add(second)
        return buckets

    def _merge_pending(self) -> dict[BucketKey, TimeBucket]:
        for key, bucket in self._pending.items():
            self._buckets.setdefault(key, TimeBucket()).add(bucket)
        self._pending = {}
        return self._buckets

    def _bucket(self, rate_stage: int, intended: float) -> TimeBucket:
        return self._pending.setdefault((rate_stage, int(intended - self.started_at)), TimeBucket())


def _sum_buckets(buckets: Iterable[TimeBucket]) -> TimeBucket:
    total = TimeBucket()
    for each in buckets:
        total.add(each)
    return total
