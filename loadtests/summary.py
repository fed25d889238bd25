"""Summary of a run: lines for a person and, last, one JSON object for a program."""

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
    """Figures of a run.

    `results` are those of the measured phases; `max_passing_rate` is the level that a search found, or None; `batches`
    counts the server's batches by size.
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
        """Return the missed objectives; for a search, that no rate met them."""
        if self.is_search:
            return [] if self.max_passing_rate else ["no rate met the SLO"]
        return self.slo.violations(self.totals, self.seconds)

    @property
    def failed(self) -> bool:
        """Return whether the exit code is 1: objectives decide if there are any, else any failure."""
        if self.slo.objectives:
            return bool(self.violations)
        return bool(self.totals.not_ok) or not self.totals.latency

    def figures(self) -> dict[str, Any]:
        """Return the figures for JSON. Times are in ms, `dropped` requests could not be sent."""
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
                "cpu": round(self.generator.cpu, 3),
                "schedule_delay_p99_ms": round(self.generator.schedule_delay_p99_ms, 3),
                "saturated": self.generator.saturated,
            },
            "slo": {"met": not self.violations, "violations": self.violations} if self.slo.objectives else None,
            "max_passing_rate": self.max_passing_rate,
        }

    def render(self) -> str:
        """Return lines for a person, then the JSON object."""
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
    """Format with three digits and without exponent."""
    return f"{number:.3g}" if number < 1_000 else f"{number:,.0f}"


def bucket_figures(bucket: TimeBucket, seconds: float) -> dict[str, Any]:
    """Return the figures of one bucket of `seconds` over all names. Latencies are those of valid responses;
    `requests_per_s` counts the responses in the bucket."""
    latency = merge_histograms(bucket.latency.values())
    return {
        "requests": latency.count + bucket.failed,
        "failures": bucket.failed,
        "dropped": bucket.dropped,
        "in_flight": bucket.in_flight,
        "offered_per_s": round(bucket.offered / seconds, 2) if seconds else 0.0,
        "requests_per_s": round(bucket.completed / seconds, 2) if seconds else 0.0,
        **latency_figures(latency),
    }


def latency_figures(histogram: Histogram) -> dict[str, float]:
    """Return percentiles, maximum and mean, in ms."""
    figures = {name: histogram.percentile(share) for name, share in PERCENTILES.items()}
    figures |= {"max_ms": histogram.maximum, "mean_ms": histogram.mean}
    return {name: round(ms, 3) for name, ms in figures.items()}
