"""What happened, second by second of the run, by the second in which each request was *meant* to start.

A process records its own; workers send theirs to the master, which adds them up.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram


@dataclass
class Second:
    """`latency` is of right answers, by the request's name; `stages` by the server's names; `lag` is how late requests
    were sent.

    `offered` were meant to be sent, `unsent` of them could not be: too many were on their way. `problems` count what
    was wrong with those that failed. `done` right answers came in this second, whenever they were asked for.
    """

    latency: dict[str, Histogram] = field(default_factory=dict)
    stages: dict[str, Histogram] = field(default_factory=dict)
    lag: Histogram = field(default_factory=Histogram)
    problems: Counter[str] = field(default_factory=Counter)
    offered: int = 0
    unsent: int = 0
    done: int = 0

    @property
    def right(self) -> int:
        return sum(each.count for each in self.latency.values())

    @property
    def failed(self) -> int:
        return self.problems.total()

    @property
    def unanswered(self) -> int:
        """What has been sent, and of which nothing is known."""
        return max(0, self.offered - self.unsent - self.right - self.failed)

    @property
    def lost(self) -> int:
        """All that came to nothing: their latencies are longer than any."""
        return self.unsent + self.failed + self.unanswered

    def add(self, other: "Second") -> None:
        for mine, theirs in ((self.latency, other.latency), (self.stages, other.stages)):
            for name, histogram in theirs.items():
                mine[name] = mine.get(name, Histogram())
                mine[name] += histogram
        self.lag += other.lag
        self.problems += other.problems
        self.offered += other.offered
        self.unsent += other.unsent
        self.done += other.done

    def dump(self) -> dict[str, Any]:
        return {
            "latency": {name: each.dump() for name, each in self.latency.items()},
            "stages": {name: each.dump() for name, each in self.stages.items()},
            "lag": self.lag.dump(),
            "problems": dict(self.problems),
            "offered": self.offered,
            "unsent": self.unsent,
            "done": self.done,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Second":
        latency, stages = (
            {name: Histogram(each) for name, each in dumped[part].items()} for part in ("latency", "stages")
        )
        lag, problems = Histogram(dumped["lag"]), Counter(dumped["problems"])
        return cls(latency, stages, lag, problems, dumped["offered"], dumped["unsent"], dumped["done"])


_AHEAD = time.time() - time.perf_counter()


def steady_clock() -> float:
    """The wall clock as it was when this process began, and no jumps since: processes of a run agree on it."""
    return _AHEAD + time.perf_counter()


Cell = tuple[int, int]
"""A tempo's number, and a second of the run."""


class Recorder:
    """`clock` gives seconds that all processes of a run agree on; `began` is when the run did, by it.

    What is recorded is kept by the tempo that it was sent under, too: phases do not begin on whole seconds.
    """

    def __init__(self, clock: Callable[[], float] = steady_clock) -> None:
        self.clock = clock
        self.began = clock()
        self._cells: dict[Cell, Second] = {}
        self._news: dict[Cell, Second] = {}

    def begin(self, at: float) -> None:
        """Forget what was, and count from then."""
        self.began = at
        self._cells, self._news = {}, {}

    def offered(self, tempo: int, intended: float) -> None:
        """A request was to be sent then."""
        self._at(tempo, intended).offered += 1

    def unsent(self, tempo: int, intended: float) -> None:
        """A request was to be sent then, and could not be."""
        second = self._at(tempo, intended)
        second.offered += 1
        second.unsent += 1

    def sent(self, tempo: int, intended: float) -> None:
        """It is on its way now."""
        self._at(tempo, intended).lag.add(1e3 * (self.clock() - intended))

    def failed(self, tempo: int, intended: float, problem: str) -> None:
        """It has no answer, or a wrong one."""
        self._at(tempo, intended).problems[problem] += 1

    def answered(
        self, tempo: int, intended: float, name: str, ms: float, stages: Mapping[str, float], *, during: int
    ) -> None:
        """It has its answer, which came `during` another tempo perhaps."""
        second = self._at(tempo, intended)
        second.latency.setdefault(name, Histogram()).add(ms)
        for stage, took in stages.items():
            second.stages.setdefault(stage, Histogram()).add(took)
        self._at(during, self.clock()).done += 1

    def take(self) -> list[tuple[int, int, dict[str, Any]]]:
        """What is new since this was last called, for another process."""
        found, self._news = self._news, {}
        return [(*cell, second.dump()) for cell, second in found.items()]

    def merge(self, taken: Iterable[tuple[int, int, Mapping[str, Any]]]) -> None:
        """Add what another process took."""
        for tempo, at, dumped in taken:
            self._news.setdefault((tempo, at), Second()).add(Second.load(dumped))

    def under(self, tempo: int) -> Second:
        """All that was sent under that tempo."""
        return _added(second for cell, second in self._settled().items() if cell[0] == tempo)

    def seconds(self) -> dict[int, Second]:
        """All that there was, by the second in which it was meant to start, first to last."""
        found: dict[int, Second] = {}
        for (_, at), second in sorted(self._settled().items(), key=lambda entry: entry[0][1]):
            found.setdefault(at, Second()).add(second)
        return found

    def _settled(self) -> dict[Cell, Second]:
        for cell, second in self._news.items():
            self._cells.setdefault(cell, Second()).add(second)
        self._news = {}
        return self._cells

    def _at(self, tempo: int, intended: float) -> Second:
        return self._news.setdefault((tempo, int(intended - self.began)), Second())


def _added(seconds: Iterable[Second]) -> Second:
    found = Second()
    for each in seconds:
        found.add(each)
    return found
