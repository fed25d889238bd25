"""Service level objectives of a run: `p99=50ms,fail=0,rate=200`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.histogram import merge_histograms
from loadtests.recorder import TimeBucket

_TERM = re.compile(r"(p\d{1,2}(?:\.\d+)?|mean|max|fail|rate)<?=(\d+(?:\.\d+)?)(ms|s|%)?")
_FORMS = "p99=50ms, mean=10ms, max=1s, fail=0, fail=0.1%, rate=200"


class SloError(ValueError):
    """Objectives that cannot be parsed."""


@dataclass(frozen=True)
class Objective:
    """One objective. `limit` is in ms for latencies, in percent of requests for failures, else a number.

    What came to nothing counts as slower than any answer: a server that refuses quickly is not a fast one. The mean
    alone is of right answers.
    """

    name: str
    limit: float
    percent: bool = False

    def measure(self, totals: TimeBucket, seconds: float) -> float:
        """Return the measured value of this objective."""
        latency = merge_histograms(totals.latency.values())
        match self.name:
            case "mean":
                return latency.mean
            case "max":
                return math.inf if totals.not_ok else latency.maximum
            case "fail":
                return totals.not_ok / max(1, totals.offered) if self.percent else totals.not_ok
            case "rate":
                return totals.completed / seconds
        return latency.percentile(float(self.name[1:]) / 100, not_ok=totals.not_ok)

    def is_violated(self, value: float) -> bool:
        """Return whether the value misses its limit: the rate is a minimum, all others are maxima."""
        return value < self.limit if self.name == "rate" else not value <= self.limit

    def violation(self, value: float) -> str:
        """Describe a violation in words."""
        if self.percent:
            return f"{self.name} {value:.2%}, limit {self.limit:.2%}"
        unit = "" if self.name in ("fail", "rate") else " ms"
        return f"{self.name} {value:.1f}{unit}, limit {self.limit:g}{unit}"


@dataclass(frozen=True)
class Slo:
    """Set of objectives, all of which must hold."""

    objectives: Sequence[Objective] = ()

    @classmethod
    def parse(cls, text: str) -> "Slo":
        """Parse comma-separated objectives. Raises SloError."""
        return cls([_parse_objective(term.strip()) for term in text.split(",") if term.strip()])

    def violations(self, totals: TimeBucket, seconds: float) -> list[str]:
        """Return the missed objectives, in words; without responses all are missed."""
        if self.objectives and not totals.latency:
            return ["no request succeeded"]
        measured = [(each, each.measure(totals, seconds)) for each in self.objectives]
        return [each.violation(figure) for each, figure in measured if each.is_violated(figure)]


def _parse_objective(term: str) -> Objective:
    match = _TERM.fullmatch(term)
    if not match:
        raise SloError(f"invalid objective {term!r}; examples: {_FORMS}")
    name, number, unit = match.groups()
    units = {"fail": (None, "%"), "rate": (None,)}.get(name, ("ms", "s"))
    if unit not in units:
        raise SloError(f"invalid unit in {term!r}; examples: {_FORMS}")
    scale = {"s": 1e3, "%": 0.01}.get(unit or "", 1.0)
    return Objective(name, float(number) * scale, percent=unit == "%")
