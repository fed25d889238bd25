"""Interleaved measurement of servers: a slow phase of the machine affects all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import wrk
from bench.timing import RunLength

SETTLE_S = 2
"""Pause between two turns: a server may still compute abandoned requests."""


@dataclass(frozen=True)
class Target:
    """The bodies that a server is sent, each a request of `url`."""

    url: str
    bodies: Sequence[bytes]


def run_interleaved(
    targets: Mapping[str, Target], *, connections: int, run_length: RunLength
) -> dict[str, list[wrk.ClosedLoopResult]]:
    """Run each one's closed loops in turn, round by round; a turn is twice `run_length.seconds`, because other servers
    report only their total.

    Raises ServerError.
    """
    results: dict[str, list[wrk.ClosedLoopResult]] = {name: [] for name in targets}
    for _ in range(run_length.rounds):
        for name, target in targets.items():
            seconds = 2 * run_length.seconds
            results[name].append(
                wrk.closed_loop_url(target.url, target.bodies, connections=connections, seconds=seconds)
            )
            time.sleep(SETTLE_S)
    return results


def medians(results: Mapping[str, Sequence[wrk.ClosedLoopResult]]) -> dict[str, float]:
    """Return the median requests per second and latencies of each."""
    figures: dict[str, float] = {}
    for name, rounds in results.items():
        figures[f"{name}_per_s"] = median(one.requests_per_second for one in rounds)
        figures[f"{name}_p50_ms"] = median(one.p50_ms for one in rounds)
        figures[f"{name}_p99_ms"] = median(one.p99_ms for one in rounds)
    return figures
