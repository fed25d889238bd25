"""The end of a run in figures: lines for a person and, last, one JSON object for a program."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loadtests.generator import Verdict
from loadtests.histogram import Histogram, merged
from loadtests.phases import Result
from loadtests.record import Second
from loadtests.slo import Slo

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


@dataclass(frozen=True)
class Summary:
    """`results` are of the phases that were measured; `held` is the level that a search found, None without one.

    `batches` counts the server's batches by their size.
    """

    results: Sequence[Result]
    slo: Slo
    generator: Verdict
    open_loop: bool
    searched: bool = False
    held: float | None = None
    batches: Mapping[str, int] | None = None

    @cached_property
    def seen(self) -> Second:
        found = Second()
        for result in self.results:
            found.add(result.seen)
        return found

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    @property
    def misses(self) -> list[str]:
        """Of the objectives: of a search, that there is no level that holds them; else of all that was measured."""
        if self.searched:
            return [] if self.held else ["no rate was found that holds"]
        return self.slo.misses(self.seen, self.seconds)

    @property
    def failed(self) -> bool:
        """Whether the run is to end with exit code 1: objectives decide where there are any, else any failure."""
        if self.slo.objectives:
            return bool(self.misses)
        return bool(self.seen.lost) or not self.seen.latency

    def figures(self) -> dict[str, Any]:
        """As JSON. Times are in ms, `unsent` requests were to start and could not."""
        return {
            **told(self.seen, self.seconds),
            "loop": "open" if self.open_loop else "closed",
            "problems": dict(self.seen.problems.most_common(20)),
            "by_name": {name: latencies(each) for name, each in sorted(self.seen.latency.items())},
            "stages": {name: latencies(each) for name, each in self.seen.stages.items()},
            "phases": [
                {"name": each.phase.name, "level": each.phase.level, **told(each.seen, each.seconds)}
                for each in self.results
            ],
            "batches": self.batches or {},
            "generator": {
                "processors": round(self.generator.processors, 3),
                "lag_p99_ms": round(self.generator.lag_ms, 3),
                "bottleneck": self.generator.bottleneck,
            },
            "slo": {"held": not self.misses, "misses": self.misses} if self.slo.objectives else None,
            "highest_rate": self.held,
        }

    def lines(self) -> str:
        """For a person, and the JSON object."""
        figures = self.figures()
        says = [
            "{requests} requests, {failures} failed, {requests_per_s} a second; p50 {p50_ms} ms, p95 {p95_ms} ms, "
            "p99 {p99_ms} ms".format(**figures)
        ]
        if self.seen.unanswered:
            says.append(f"{self.seen.unanswered} have had no answer yet")
        if self.seen.unsent:
            says.append(f"{self.seen.unsent} more could not be sent: too many were on their way")
        if self.generator.bottleneck:
            says.append(
                f"THE GENERATOR IS THE BOTTLENECK: it took {self.generator.processors:.2f} of a processor and sent "
                f"{self.generator.lag_ms:.0f} ms late; take more workers, or a lower rate"
            )
        if self.searched:
            says.append(f"highest rate that held: {self.held:.4g}" if self.held else "no rate was found that holds")
        elif self.misses:
            says.append(f"objectives missed: {'; '.join(self.misses)}")
        return "\n".join([*says, json.dumps(figures)])


def plain(number: float) -> str:
    """Three digits, and no exponent."""
    return f"{number:.3g}" if number < 1_000 else f"{number:,.0f}"


def told(seen: Second, seconds: float) -> dict[str, Any]:
    """What happened in so many seconds, over all names. Latencies are of right answers; `requests_per_s` are those that
    came in these seconds."""
    latency = merged(seen.latency.values())
    return {
        "requests": latency.count + seen.failed,
        "failures": seen.failed,
        "unsent": seen.unsent,
        "unanswered": seen.unanswered,
        "offered_per_s": round(seen.offered / seconds, 2) if seconds else 0.0,
        "requests_per_s": round(seen.done / seconds, 2) if seconds else 0.0,
        **latencies(latency),
    }


def latencies(histogram: Histogram) -> dict[str, float]:
    """Percentiles and the mean, in ms."""
    found = {name: histogram.percentile(share) for name, share in PERCENTILES.items()}
    found |= {"max_ms": histogram.largest, "mean_ms": histogram.mean}
    return {name: round(ms, 3) for name, ms in found.items()}
