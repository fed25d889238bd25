"""Search for the highest rate that meets the SLO."""

from collections.abc import Iterator

from loadtests.phases import LoadPlan, Phase, PhaseResult
from loadtests.slo import Slo

MAX_NOT_OK_SHARE = 0.01
"""Fraction of requests without a valid response from which a trial has failed, whatever its objectives."""

GIVE_UP_FACTOR = 64
"""The search gives up when the initial rate divided by this factor fails."""


class MaxRateSearch(LoadPlan):
    """Search for the highest level that meets `slo`: doubled from `level` until one fails, or halved until one holds,
    then bisected until the two lie within `tolerance` of each other."""

    waits_between_phases = True

    def __init__(
        self, level: float, seconds: float, slo: Slo, *, tolerance: float = 0.05, max_trials: int = 16
    ) -> None:
        self._level, self._seconds, self._slo = level, seconds, slo
        self._tolerance, self._max_trials = tolerance, max_trials
        self.max_passing_rate: float | None = None
        """Highest level that met the objectives."""
        self.min_failing_rate: float | None = None
        """Lowest level that missed them."""

    def phases(self) -> Iterator[Phase]:
        for _ in range(self._max_trials):
            level = self._next_level()
            if level is None:
                return
            yield Phase(f"trial at {level:.4g}", level, self._seconds)

    def on_phase_end(self, result: PhaseResult) -> None:
        level = result.phase.level
        too_many_not_ok = result.totals.not_ok > MAX_NOT_OK_SHARE * result.totals.offered
        if too_many_not_ok or self._slo.violations(result.totals, result.seconds):
            self.min_failing_rate = level if self.min_failing_rate is None else min(self.min_failing_rate, level)
        else:
            self.max_passing_rate = level if self.max_passing_rate is None else max(self.max_passing_rate, level)

    def _next_level(self) -> float | None:
        if self.max_passing_rate is None:
            if self.min_failing_rate is None:
                return self._level
            return self.min_failing_rate / 2 if self.min_failing_rate > self._level / GIVE_UP_FACTOR else None
        if self.min_failing_rate is None:
            return 2 * self.max_passing_rate
        return (
            (self.max_passing_rate + self.min_failing_rate) / 2
            if self.min_failing_rate > (1 + self._tolerance) * self.max_passing_rate
            else None
        )
