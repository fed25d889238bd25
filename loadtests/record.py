"""What happened, second by second of the run, by the second in which each request was *meant* to start.

A process records its own; workers send theirs to the master, which adds them up.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram


@dataclass
class Second:
    """`latency` is by the request's name, `stages` by the server's names; `lag` is how late requests were sent.

    `offered` were meant to be sent, `unsent` of them could not be: too many were on their way. `problems` count what
    was wrong with those that failed.
    """

    latency: dict[str, Histogram] = field(default_factory=dict)
    stages: dict[str, Histogram] = field(default_factory=dict)
    lag: Histogram = field(default_factory=Histogram)
    problems: Counter[str] = field(default_factory=Counter)
    offered: int = 0
    unsent: int = 0

    def add(self, other: "Second") -> None:
        for mine, theirs in ((self.latency, other.latency), (self.stages, other.stages)):
            for name, histogram in theirs.items():
                mine[name] = mine.get(name, Histogram())
                mine[name] += histogram
        self.lag += other.lag
        self.problems += other.problems
        self.offered += other.offered
        self.unsent += other.unsent

    def dump(self) -> dict[str, Any]:
        return {
            "latency": {name: each.dump() for name, each in self.latency.items()},
            "stages": {name: each.dump() for name, each in self.stages.items()},
            "lag": self.lag.dump(),
            "problems": dict(self.problems),
            "offered": self.offered,
            "unsent": self.unsent,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Second":
        latency, stages = (
            {name: Histogram(each) for name, each in dumped[part].items()} for part in ("latency", "stages")
        )
        lag, problems = Histogram(dumped["lag"]), Counter(dumped["problems"])
        return cls(latency, stages, lag, problems, dumped["offered"], dumped["unsent"])


class Recorder:
    """`clock` gives seconds that all processes of a run agree on; `began` is when the run did, by it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.began = clock()
        self.seconds: dict[int, Second] = {}
        self._news: dict[int, Second] = {}

    def begin(self, at: float) -> None:
        """Forget what was, and count from then."""
        self.began = at
        self.seconds, self._news = {}, {}

    def offered(self, intended: float, sent: float) -> None:
        """A request is on its way."""
        second = self._at(intended)
        second.offered += 1
        second.lag.add(1e3 * (sent - intended))

    def unsent(self, intended: float) -> None:
        """A request could not be sent."""
        second = self._at(intended)
        second.offered += 1
        second.unsent += 1

    def answered(self, intended: float, name: str, ms: float, problem: str | None, stages: Mapping[str, float]) -> None:
        """A request has its answer, or has failed."""
        second = self._at(intended)
        second.latency.setdefault(name, Histogram()).add(ms)
        for stage, took in stages.items():
            second.stages.setdefault(stage, Histogram()).add(took)
        if problem:
            second.problems[problem] += 1

    def take(self) -> dict[int, dict[str, Any]]:
        """What is new since this was last called, for another process."""
        found, self._news = self._news, {}
        return {at: second.dump() for at, second in found.items()}

    def merge(self, dumped: Mapping[int, Mapping[str, Any]]) -> None:
        """Add what another process took."""
        for at, second in dumped.items():
            self._at(self.began + int(at)).add(Second.load(second))

    def settle(self) -> None:
        """Add what is new to what there is."""
        for at, second in self._news.items():
            self.seconds.setdefault(at, Second()).add(second)
        self._news = {}

    def between(self, start: float, end: float) -> Second:
        """All that was meant to start within `start` to `end`, in seconds of the run."""
        self.settle()
        found = Second()
        for at, second in self.seconds.items():
            if start <= at < end:
                found.add(second)
        return found

    def _at(self, intended: float) -> Second:
        return self._news.setdefault(int(intended - self.began), Second())
