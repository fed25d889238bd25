"""The end of a run in figures: lines for a person and, last, one JSON object for a program."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loadtests.generator_health import GeneratorHealth
from loadtests.histogram import Histogram, merge_histograms
from loadtests.phases import PhaseResult
from loadtests.recorder import TimeBucket
from loadtests.slo import Slo

PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


@dataclass(frozen=True)
class Summary:
    """`results` are of the phases that were measured; `max_passing_rate` is the level that a search found, None without
    one.

    `batches` counts the server's batches by their size.
    """

    results: Sequence[PhaseResult]
    slo: Slo
    generator: GeneratorHealth
    open_loop: bool
    is_search: bool = False
    max_passing_rate: float | None = None
    batches: Mapping[str, int] | None = None

    @cached_property
    def totals(self) -> TimeBucket:
        totals = TimeBucket()
        for result in self.results:
            totals.add(result.totals)
        return totals

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    @property
    def violations(self) -> list[str]:
        """Of the objectives: of a search, that there is no level that holds them; else of all that was measured."""
        if self.is_search:
            return [] if self.max_passing_rate else ["no rate met the SLO"]
        return self.slo.violations(self.totals, self.seconds)

    @property
    def failed(self) -> bool:
        """Whether the run is to end with exit code 1: objectives decide where there are any, else any failure."""
        if self.slo.objectives:
            return bool(self.violations)
        return bool(self.totals.not_ok) or not self.totals.latency

    def figures(self) -> dict[str, Any]:
        """As JSON. Times are in ms, `unsent` requests were to start and could not."""
        return {
            **bucket_figures(self.totals, self.seconds),
            "loop": "open" if self.open_loop else "closed",
            "problems": dict(self.totals.problems.most_common(20)),
            "by_name": {name: latency_figures(each) for name, each in sorted(self.totals.latency.items())},
            "stages": {name: latency_figures(each) for name, each in self.totals.stages.items()},
            "phases": [
                {"name": each.phase.name, "level": each.phase.level, **bucket_figures(each.totals, each.seconds)}
                for each in self.results
            ],
            "batches": self.batches or {},
            "generator": {
                "processors": round(self.generator.cpu, 3),
                "lag_p99_ms": round(self.generator.schedule_delay_p99_ms, 3),
                "bottleneck": self.generator.saturated,
            },
            "slo": {"held": not self.violations, "misses": self.violations} if self.slo.objectives else None,
            "highest_rate": self.max_passing_rate,
        }

    def render(self) -> str:
        """For a person, and the JSON object."""
        figures = self.figures()
        lines = [
            "{requests} requests, {failures} failed, {requests_per_s}/s; p50 {p50_ms} ms, p95 {p95_ms} ms, "
            "p99 {p99_ms} ms".format(**figures)
        ]
        if self.totals.in_flight:
            lines.append(f"{self.totals.in_flight} requests in flight at the end")
        if self.totals.dropped:
            lines.append(f"{self.totals.dropped} requests dropped: --max-in-flight reached")
        if self.generator.saturated:
            lines.append(
                f"Load generator saturated ({self.generator.cpu:.0%} CPU, "
                f"{self.generator.schedule_delay_p99_ms:.0f} ms late): results are not valid; "
                "add --processes or lower the rate"
            )
        if self.is_search:
            lines.append(
                f"highest rate meeting the SLO: {self.max_passing_rate:.4g}"
                if self.max_passing_rate
                else "no rate met the SLO"
            )
        elif self.violations:
            lines.append(f"SLO violated: {'; '.join(self.violations)}")
        return "\n".join([*lines, json.dumps(figures)])


def format_number(number: float) -> str:
    """Three digits, and no exponent."""
    return f"{number:.3g}" if number < 1_000 else f"{number:,.0f}"


def bucket_figures(bucket: TimeBucket, seconds: float) -> dict[str, Any]:
    """Return the figures of one bucket of `seconds` over all names. Latencies are those of valid responses;
    `requests_per_s` counts the responses in the bucket."""
    latency = merge_histograms(bucket.latency.values())
    return {
        "requests": latency.count + bucket.failed,
        "failures": bucket.failed,
        "unsent": bucket.dropped,
        "unanswered": bucket.in_flight,
        "offered_per_s": round(bucket.offered / seconds, 2) if seconds else 0.0,
        "requests_per_s": round(bucket.completed / seconds, 2) if seconds else 0.0,
        **latency_figures(latency),
    }


def latency_figures(histogram: Histogram) -> dict[str, float]:
    """Percentiles and the mean, in ms."""
    figures = {name: histogram.percentile(share) for name, share in PERCENTILES.items()}
    figures |= {"max_ms": histogram.maximum, "mean_ms": histogram.mean}
    return {name: round(ms, 3) for name, ms in figures.items()}
