"""What a run must hold: `p99=50ms,fail=0,rate=200`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.histogram import merged
from loadtests.record import Second

_TERM = re.compile(r"(p\d{1,2}(?:\.\d+)?|mean|max|fail|rate)<?=(\d+(?:\.\d+)?)(ms|s|%)?")
_FORMS = "p99=50ms, mean=10ms, max=1s, fail=0, fail=0.1%, rate=200"


class SloError(ValueError):
    """No such objective can be read."""


@dataclass(frozen=True)
class Objective:
    """`limit` is in ms for latencies, a share of the requests for failures in percent, else a number.

    What came to nothing counts as slower than any answer: a server that refuses quickly is not a fast one. The mean
    alone is of right answers.
    """

    name: str
    limit: float
    percent: bool = False

    def found(self, seen: Second, seconds: float) -> float:
        """The figure that it is about."""
        latency = merged(seen.latency.values())
        match self.name:
            case "mean":
                return latency.mean
            case "max":
                return math.inf if seen.lost else latency.largest
            case "fail":
                return seen.lost / max(1, seen.offered) if self.percent else seen.lost
            case "rate":
                return seen.done / seconds
        return latency.percentile(float(self.name[1:]) / 100, lost=seen.lost)

    def missed(self, found: float) -> bool:
        """All but the rate are at most their limit."""
        return found < self.limit if self.name == "rate" else not found <= self.limit

    def miss(self, found: float) -> str:
        """In words."""
        if self.percent:
            return f"{self.name} {found:.2%}, wanted {self.limit:.2%}"
        unit = "" if self.name in ("fail", "rate") else " ms"
        return f"{self.name} {found:.1f}{unit}, wanted {self.limit:g}{unit}"


@dataclass(frozen=True)
class Slo:
    """All of the objectives must hold."""

    objectives: Sequence[Objective] = ()

    @classmethod
    def parse(cls, text: str) -> "Slo":
        """Of comma-separated objectives. Raises SloError."""
        return cls([_objective(term.strip()) for term in text.split(",") if term.strip()])

    def misses(self, seen: Second, seconds: float) -> list[str]:
        """What does not hold, in words. Where nothing was answered nothing holds."""
        if self.objectives and not seen.latency:
            return ["no request was answered"]
        found = [(each, each.found(seen, seconds)) for each in self.objectives]
        return [each.miss(figure) for each, figure in found if each.missed(figure)]


def _objective(term: str) -> Objective:
    found = _TERM.fullmatch(term)
    if not found:
        raise SloError(f"cannot read {term!r}; objectives are like {_FORMS}")
    name, number, unit = found.groups()
    units = {"fail": (None, "%"), "rate": (None,)}.get(name, ("ms", "s"))
    if unit not in units:
        raise SloError(f"{term!r} has the wrong unit; objectives are like {_FORMS}")
    scale = {"s": 1e3, "%": 0.01}.get(unit or "", 1.0)
    return Objective(name, float(number) * scale, percent=unit == "%")
