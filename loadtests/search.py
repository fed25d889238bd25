"""The search for the highest rate that a server holds."""

from collections.abc import Iterator

from loadtests.phases import Phase, Plan, Result
from loadtests.slo import Slo

LOST = 0.01
"""Share of a trial's requests that come to nothing from which it has failed, whatever its objectives are."""

LEAST = 64
"""A search that began at so many times the level that fails gives up."""


class Search(Plan):
    """The highest level that holds `slo`: doubled from `level` until one does not, or halved until one does, then
    halfway between the two, until they lie `within` of each other. A trial takes `seconds`.
    """

    pauses = True

    def __init__(self, level: float, seconds: float, slo: Slo, *, within: float = 0.05, most: int = 16) -> None:
        self._level, self._seconds, self._slo = level, seconds, slo
        self._within, self._most = within, most
        self.held: float | None = None
        """The highest level that held,"""
        self.failed: float | None = None
        """and the lowest that did not."""

    def phases(self) -> Iterator[Phase]:
        for _ in range(self._most):
            level = self._next()
            if level is None:
                return
            yield Phase(f"trial at {level:.4g}", level, self._seconds)

    def over(self, result: Result) -> None:
        level = result.phase.level
        lost = result.seen.lost > LOST * result.seen.offered
        if lost or self._slo.misses(result.seen, result.seconds):
            self.failed = level if self.failed is None else min(self.failed, level)
        else:
            self.held = level if self.held is None else max(self.held, level)

    def _next(self) -> float | None:
        if self.held is None:
            if self.failed is None:
                return self._level
            return self.failed / 2 if self.failed > self._level / LEAST else None
        if self.failed is None:
            return 2 * self.held
        return (self.held + self.failed) / 2 if self.failed > (1 + self._within) * self.held else None
