"""Interleaved measurement of servers: a slow phase of the machine affects all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import wrk
from bench.timing import RunLength
from loadtests.compare import compare

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


def compare_rounds(results: Mapping[str, Sequence[wrk.ClosedLoopResult]]) -> dict[str, float]:
    """Return the medians of both targets, and of the ratios of the first to the second in each round.

    A rate above 1 or a p50 below 1 means that the first is faster. If one request takes seconds, trust the p50 only:
    the request in flight at the end is not counted.
    """
    (first, of_first), (second, of_second) = ((name, [asdict(one) for one in of]) for name, of in results.items())
    compared = compare(of_second, of_first, tuple(of_first[0]))
    names = {"b": f"{first}_{{}}", "a": f"{second}_{{}}", "b_over_a": f"{{}}_over_{second}"}
    return {
        names[side].format(label): value
        for label, values in compared.items()
        for side, value in values.items()
        if value is not None
    }
