"""The end of a run: a line for a person and, last, one JSON object for a program."""

import json
from dataclasses import asdict, dataclass

from locust.env import Environment


@dataclass(frozen=True)
class Summary:
    """Client-side latencies in milliseconds of all requests of a run."""

    requests: int
    failures: int
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, environment: Environment) -> "Summary":
        total = environment.stats.total
        p50, p95, p99 = (float(total.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99))
        rate = round(total.total_rps, 1)
        return cls(total.num_requests, total.num_failures, rate, p50, p95, p99)

    def lines(self) -> str:
        person = (
            f"{self.requests} requests, {self.failures} failed, {self.requests_per_s:.1f} a second; "
            f"p50 {self.p50_ms:.0f} ms, p95 {self.p95_ms:.0f} ms, p99 {self.p99_ms:.0f} ms"
        )
        return f"{person}\n{json.dumps(asdict(self))}"
