"""Tail latency: at 70 % of the peak rate, with and without concurrent requests for attention."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from bench import wrk
from bench.open_loop import Request, open_loop
from bench.server import run_server
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL, Workload, request_body, workload_texts

LOAD_FACTOR = 0.7
ATTENTION_EVERY = 10
"""One request in ATTENTION_EVERY asks for rollout relevance."""


def measure(artifacts: Sequence[Path], run_length: RunLength) -> dict[str, float]:
    """p50 and p99 in ms of plain requests in an open loop, with and without requests for attention among them."""
    wrk.require_wrk()
    figures_by_case: dict[str, float] = {}
    with run_server(artifacts) as url:
        for kind in ("short", "mixed"):
            figures = _measure_tail(url, kind, run_length)
            figures_by_case |= {f"{kind}_{name}": value for name, value in figures.items()}
            summary = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
            print(f"tail of {kind}: {summary}", file=sys.stderr, flush=True)
        return figures_by_case | wrk.count_gc_pauses(url)


def _measure_tail(url: str, kind: str, run_length: RunLength) -> dict[str, float]:
    texts = workload_texts(kind, 512)
    plain = [Request("plain", request_body(TEXT_MODEL, [text])) for text in texts]
    mixed = [
        Request("attention", request_body(TEXT_MODEL, [text], attention=True)) if i % ATTENTION_EVERY == 0 else plain[i]
        for i, text in enumerate(texts)
    ]
    seconds = 4 * run_length.seconds
    peak, _ = wrk.closed_loop(url, Workload(kind, TEXT_MODEL, texts), seconds=seconds)
    rate = LOAD_FACTOR * peak.requests_per_s
    rounds: list[dict[str, float]] = []
    for i in range(run_length.rounds):
        without = open_loop(url, plain, rate=rate, seconds=seconds, seed=i)["plain"]
        with_attention = open_loop(url, mixed, rate=rate, seconds=seconds, seed=i)
        (p50, p99), with_attention_p99 = np.quantile(without, [0.5, 0.99]), np.quantile(with_attention["plain"], 0.99)
        rounds.append(
            {
                "p50_ms": p50,
                "p99_ms": p99,
                "with_attention_p99_ms": with_attention_p99,
                "attention_p50_ms": np.quantile(with_attention["attention"], 0.5),
                "p99_of_p50": p99 / p50,
                "p99_with_attention_over_without": with_attention_p99 / p99,
            }
        )
    medians = {name: median(one[name] for one in rounds) for name in rounds[0]}
    return {"rate_per_s": rate, **{name: float(value) for name, value in medians.items()}}
