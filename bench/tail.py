"""The slow end of the latencies: at 70 % of what the server can do, and beside requests for attention."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench import wrk
from bench.openloop import Request, open_loop
from bench.server import running_server
from bench.serving import Length
from bench.workloads import TEXT_MODEL, Workload, body, prose

LOAD = 0.7
ONE_IN = 10
"""One request in so many asks for rollout relevance."""


def measure(artifacts: Sequence[Path], length: Length) -> dict[str, float]:
    """p50 and p99 in ms of plain requests on prose of mixed length, in an open loop with and without attention."""
    wrk.check()
    texts = prose("mixed", 512)
    plain = [Request("plain", body(TEXT_MODEL, [text], attention=False)) for text in texts]
    seen = [
        Request("attention", body(TEXT_MODEL, [text], attention=True)) if i % ONE_IN == 0 else plain[i]
        for i, text in enumerate(texts)
    ]
    took: dict[str, list[float]] = {"without": [], "beside": [], "attention": []}
    with running_server(artifacts) as url:
        flood, _ = wrk.closed_loop(url, Workload("mixed", TEXT_MODEL, texts), seconds=4 * length.seconds)
        saturated = flood.requests_per_second
        rate = LOAD * saturated
        for i in range(length.rounds):
            took["without"] += open_loop(url, plain, rate=rate, seconds=4 * length.seconds, seed=i)["plain"]
            both = open_loop(url, seen, rate=rate, seconds=4 * length.seconds, seed=i)
            took["beside"] += both["plain"]
            took["attention"] += both["attention"]
        pauses = _pauses(url)
    quantiles = {kind: np.quantile(values, [0.5, 0.99]) for kind, values in took.items()}
    found = {
        "saturated_per_s": saturated,
        **{f"{kind}_p50_ms": float(p50) for kind, (p50, _) in quantiles.items()},
        **{f"{kind}_p99_ms": float(p99) for kind, (_, p99) in quantiles.items()},
        "p99_of_p50": float(quantiles["without"][1] / quantiles["without"][0]),
        "p99_beside_of_without": float(quantiles["beside"][1] / quantiles["without"][1]),
        **pauses,
    }
    print(f"tail: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


def _pauses(url: str) -> dict[str, float]:
    """How often the server's garbage collector stopped it, from its metrics."""
    metrics = wrk.metrics(url)
    count, short = metrics["headlight_gc_pause_seconds_count"], metrics['headlight_gc_pause_seconds_bucket{le="0.01"}']
    return {"gc_pauses": count, "gc_pauses_over_10_ms": count - short}
