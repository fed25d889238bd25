"""Servers side by side, each in its turn: what is slow about the machine for a while is slow for all of them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import wrk
from bench.rounds import Length

SETTLE_S = 2
"""Between two turns: a server may still compute what nobody waits for any more."""


@dataclass(frozen=True)
class Target:
    """The bodies that a server is sent, each a request of `url`."""

    url: str
    bodies: Sequence[bytes]


def in_turn(targets: Mapping[str, Target], *, connections: int, length: Length) -> dict[str, list[wrk.Sent]]:
    """What came of each one's closed loops, round by round; a turn is twice `length.seconds`, for servers of other make
    tell only what they have answered in all.

    Raises ServerFailed.
    """
    sent: dict[str, list[wrk.Sent]] = {name: [] for name in targets}
    for _ in range(length.rounds):
        for name, target in targets.items():
            seconds = 2 * length.seconds
            sent[name].append(wrk.closed_loop_at(target.url, target.bodies, connections=connections, seconds=seconds))
            time.sleep(SETTLE_S)
    return sent


def medians(sent: Mapping[str, Sequence[wrk.Sent]]) -> dict[str, float]:
    """Requests a second and latencies of each."""
    found: dict[str, float] = {}
    for name, rounds in sent.items():
        found[f"{name}_per_s"] = median(one.requests_per_second for one in rounds)
        found[f"{name}_p50_ms"] = median(one.p50_ms for one in rounds)
        found[f"{name}_p99_ms"] = median(one.p99_ms for one in rounds)
    return found
