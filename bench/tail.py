"""The slow end of the latencies: at 70 % of what the server can do, and beside requests for attention."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bench import wrk
from bench.openloop import Request, open_loop
from bench.rounds import Length
from bench.server import running_server
from bench.workloads import TEXT_MODEL, Workload, body, prose

LOAD = 0.7
ONE_IN = 10
"""One request in so many asks for rollout relevance."""


def measure(artifacts: Sequence[Path], length: Length) -> dict[str, float]:
    """p50 and p99 in ms of plain requests in an open loop, with and without requests for attention among them."""
    wrk.check()
    found: dict[str, float] = {}
    with running_server(artifacts) as url:
        for kind in ("short", "mixed"):
            figures = _tail(url, kind, length)
            found |= {f"{kind}_{name}": value for name, value in figures.items()}
            told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
            print(f"tail of {kind}: {told}", file=sys.stderr, flush=True)
        return found | wrk.pauses(url)


def _tail(url: str, kind: str, length: Length) -> dict[str, float]:
    texts = prose(kind, 512)
    plain = [Request("plain", body(TEXT_MODEL, [text], attention=False)) for text in texts]
    seen = [
        Request("attention", body(TEXT_MODEL, [text], attention=True)) if i % ONE_IN == 0 else plain[i]
        for i, text in enumerate(texts)
    ]
    seconds = 4 * length.seconds
    flood, _ = wrk.closed_loop(url, Workload(kind, TEXT_MODEL, texts), seconds=seconds)
    rate = LOAD * flood.requests_per_second
    rounds: list[dict[str, float]] = []
    for i in range(length.rounds):
        without = open_loop(url, plain, rate=rate, seconds=seconds, seed=i)["plain"]
        beside = open_loop(url, seen, rate=rate, seconds=seconds, seed=i)
        (p50, p99), beside_p99 = np.quantile(without, [0.5, 0.99]), np.quantile(beside["plain"], 0.99)
        rounds.append(
            {
                "p50_ms": p50,
                "p99_ms": p99,
                "beside_p99_ms": beside_p99,
                "attention_p50_ms": np.quantile(beside["attention"], 0.5),
                "p99_of_p50": p99 / p50,
                "p99_beside_of_without": beside_p99 / p99,
            }
        )
    medians = {name: median(one[name] for one in rounds) for name in rounds[0]}
    return {"rate_per_s": rate, **{name: float(value) for name, value in medians.items()}}
