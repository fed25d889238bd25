"""Phases of a load: level and duration.

Levels are requests a second in an open loop, users in a closed one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.recorder import TimeBucket


@dataclass(frozen=True)
class Phase:
    """One level of load. `seconds` None: until the run is stopped. A phase that is not `measured` is a warm-up."""

    name: str
    level: float
    seconds: float | None
    measured: bool = True


@dataclass(frozen=True)
class PhaseResult:
    """Result of a phase: the number of its rate stage, its time in seconds of the run, and the outcome of all requests
    scheduled in it."""

    phase: Phase
    rate_stage: int
    start: float
    end: float
    totals: TimeBucket

    @property
    def seconds(self) -> float:
        return max(self.end - self.start, 1e-3)


class LoadPlan(ABC):
    """Sequence of phases; the next one may depend on the last result."""

    waits_between_phases = False
    """Whether the next phase starts only after the last one has no requests in flight."""

    @abstractmethod
    def phases(self) -> Iterator[Phase]:
        """Yield the phases in order. `on_phase_end` gets the last result before the next phase is requested."""

    @abstractmethod
    def on_phase_end(self, result: PhaseResult) -> None:
        """Take the result of the phase that has ended."""


class FixedPlan(LoadPlan):
    """Phases that do not depend on results."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        self._phases = phases

    def phases(self) -> Iterator[Phase]:
        return iter(self._phases)

    def on_phase_end(self, result: PhaseResult) -> None:
        """Ignore the result."""


def steady(level: float, seconds: float | None) -> LoadPlan:
    """Plan a constant level."""
    return FixedPlan([Phase("steady", level, seconds)])


def steps(level: float, seconds: float, count: int) -> LoadPlan:
    """Plan `count` equal steps up to `level`, `seconds` in total."""
    levels = [level * (i + 1) / count for i in range(count)]
    return FixedPlan([Phase(f"step {i + 1}", each, seconds / count) for i, each in enumerate(levels)])


def spike(level: float, seconds: float, factor: float) -> LoadPlan:
    """Plan two fifths at `level`, one fifth at `factor` times `level`, and two fifths at `level` to recover."""
    before, high = Phase("before", level, 0.4 * seconds), Phase("spike", factor * level, 0.2 * seconds)
    return FixedPlan([before, high, Phase("after", level, 0.4 * seconds)])


def soak(level: float, seconds: float, count: int) -> LoadPlan:
    """Plan a constant level, reported in `count` parts, which show a slow drift."""
    return FixedPlan([Phase(f"part {i + 1}", level, seconds / count) for i in range(count)])
