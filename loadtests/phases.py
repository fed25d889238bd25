"""What load, for how long: a run is one phase after another.

Levels are requests a second in an open loop, users in a closed one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.recorder import TimeBucket


@dataclass(frozen=True)
class Phase:
    """`seconds` None: until somebody stops the run. What is not `measured` warms up."""

    name: str
    level: float
    seconds: float | None
    measured: bool = True


@dataclass(frozen=True)
class PhaseResult:
    """A phase that is over: the number of its tempo, when it was, in seconds of the run, and what happened to all that
    was to start in it."""

    phase: Phase
    rate_stage: int
    start: float
    end: float
    totals: TimeBucket

    @property
    def seconds(self) -> float:
        return max(self.end - self.start, 1e-3)


class LoadPlan(ABC):
    """Decides what comes next by what has been."""

    waits_between_phases = False
    """Whether nothing is sent between two phases until all is answered."""

    @abstractmethod
    def phases(self) -> Iterator[Phase]:
        """One after another; before the next is asked for, `over` was told of the last."""

    @abstractmethod
    def on_phase_end(self, result: PhaseResult) -> None:
        """A phase has ended."""


class FixedPlan(LoadPlan):
    """Phases that are known beforehand."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases

    def phases(self) -> Iterator[Phase]:
        return iter(self._phases)

    def on_phase_end(self, result: PhaseResult) -> None:
        """Whatever it was, the next is known."""


def steady(level: float, seconds: float | None) -> LoadPlan:
    """The same all the time."""
    return FixedPlan([Phase("steady", level, seconds)])


def steps(level: float, seconds: float, count: int) -> LoadPlan:
    """Equal steps up to `level`, all of them in `seconds`."""
    levels = [level * (i + 1) / count for i in range(count)]
    return FixedPlan([Phase(f"step {i + 1}", each, seconds / count) for i, each in enumerate(levels)])


def spike(level: float, seconds: float, factor: float) -> LoadPlan:
    """Two fifths as usual, a fifth at `times` the level, two fifths to recover."""
    before, high = Phase("before", level, 0.4 * seconds), Phase("spike", factor * level, 0.2 * seconds)
    return FixedPlan([before, high, Phase("after", level, 0.4 * seconds)])


def soak(level: float, seconds: float, count: int) -> LoadPlan:
    """The same all the time, told in `count` parts, so that what creeps is seen."""
    return FixedPlan([Phase(f"part {i + 1}", level, seconds / count) for i in range(count)])
