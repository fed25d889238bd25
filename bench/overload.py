"""Overload: ten times the server's capacity, its goodput, and the latency of refusals.

The generator takes its share of the same processors (`generator_cpu`), which the peak was measured without. Of
long texts: ten times as many short ones as two processors can embed is more than one of them can even send.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from bench import wrk
from bench.http_client import HttpConnection
from bench.open_loop import Request, open_loop
from bench.server import run_server
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL, Workload, request_body, workload_texts

OVERLOAD_FACTOR = 10
QUEUE_TOKENS = 8_192
"""About one second of work: a larger queue hides an overload instead of refusing it."""

PROBE_INTERVAL_S = 0.05


def measure(artifacts: Sequence[Path], run_length: RunLength) -> dict[str, float]:
    """Goodput against the most that is served without overload, and p99 in ms of refusals and of `/livez` meanwhile."""
    wrk.require_wrk()
    with run_server(artifacts, max_queue_tokens=QUEUE_TOKENS) as url:
        figures = _measure_overload(url, run_length)
    print(f"overload: {', '.join(f'{key} {value:.4g}' for key, value in figures.items())}", file=sys.stderr, flush=True)
    return figures


def _measure_overload(url: str, run_length: RunLength) -> dict[str, float]:
    texts = workload_texts("long", 512)
    requests = [Request("answered", request_body(TEXT_MODEL, [text])) for text in texts]
    seconds = 4 * run_length.seconds
    rounds: list[dict[str, float]] = []
    for i in range(run_length.rounds):
        peak, _ = wrk.closed_loop(url, Workload("long", TEXT_MODEL, texts), seconds=seconds)
        rate = OVERLOAD_FACTOR * peak.requests_per_s
        with _probe_liveness(url) as probes:
            started, cpu_started = time.monotonic(), time.process_time()
            latencies = open_loop(url, requests, rate=rate, seconds=seconds, seed=i, allow_rejections=True)
            elapsed = time.monotonic() - started
            goodput = len(latencies["answered"]) / elapsed
        rounds.append(
            {
                "peak_per_s": peak.requests_per_s,
                "goodput_of_peak": goodput / peak.requests_per_s,
                "generator_cpu": (time.process_time() - cpu_started) / elapsed,
                "refused": len(latencies.get("429", ())),
                "refused_p99_ms": float(np.quantile(latencies["429"], 0.99)),
                "other": sum(len(values) for status, values in latencies.items() if status not in ("answered", "429")),
                "livez_p99_ms": float(np.quantile(probes, 0.99)),
                "livez_max_ms": max(probes),
            }
        )
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


@contextmanager
def _probe_liveness(url: str) -> Iterator[list[float]]:
    """Ask `/livez` all the time; the ms that it took."""
    latencies: list[float] = []
    stopped = threading.Event()

    async def probe() -> None:
        while not stopped.is_set():
            connection = await HttpConnection.connect(url)
            began = time.monotonic()
            if await connection.get_status("/livez") != 200:
                raise RuntimeError("/livez failed")
            latencies.append(1000 * (time.monotonic() - began))
            connection.close()
            await asyncio.sleep(PROBE_INTERVAL_S)

    thread = threading.Thread(target=uvloop.run, args=(probe(),))
    thread.start()
    try:
        yield latencies
    finally:
        stopped.set()
        thread.join()
