"""Ten times what the server can do: what it still does, and how soon it refuses the rest.

The generator takes its share of the same processors (`generator_processors`), which the peak was measured without. Of
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
from bench.connection import Connection
from bench.openloop import Request, open_loop
from bench.rounds import Length
from bench.server import running_server
from bench.workloads import TEXT_MODEL, Workload, body, prose

TIMES = 10
QUEUE_TOKENS = 8_192
"""About a second's work: a queue of more than that hides an overload instead of refusing it."""

PROBE_EVERY_S = 0.05


def measure(artifacts: Sequence[Path], length: Length) -> dict[str, float]:
    """Goodput against the most that is served without overload, and p99 in ms of refusals and of `/livez` meanwhile."""
    wrk.check()
    with running_server(artifacts, max_queue_tokens=QUEUE_TOKENS) as url:
        found = _overload(url, length)
    print(f"overload: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


def _overload(url: str, length: Length) -> dict[str, float]:
    texts = prose("long", 512)
    requests = [Request("answered", body(TEXT_MODEL, [text], attention=False)) for text in texts]
    seconds = 4 * length.seconds
    rounds: list[dict[str, float]] = []
    for i in range(length.rounds):
        peak, _ = wrk.closed_loop(url, Workload("long", TEXT_MODEL, texts), seconds=seconds)
        rate = TIMES * peak.requests_per_second
        with _probing(url) as probes:
            began, worked = time.monotonic(), time.process_time()
            took = open_loop(url, requests, rate=rate, seconds=seconds, seed=i, refusals=True)
            lasted = time.monotonic() - began
            goodput = len(took["answered"]) / lasted
        rounds.append(
            {
                "peak_per_s": peak.requests_per_second,
                "goodput_of_peak": goodput / peak.requests_per_second,
                "generator_processors": (time.process_time() - worked) / lasted,
                "refused": len(took.get("429", ())),
                "refused_p99_ms": float(np.quantile(took["429"], 0.99)),
                "other": sum(len(values) for status, values in took.items() if status not in ("answered", "429")),
                "livez_p99_ms": float(np.quantile(probes, 0.99)),
                "livez_max_ms": max(probes),
            }
        )
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


@contextmanager
def _probing(url: str) -> Iterator[list[float]]:
    """Ask `/livez` all the time; the ms that it took."""
    took: list[float] = []
    over = threading.Event()

    async def probe() -> None:
        while not over.is_set():
            connection = await Connection.open(url)
            began = time.monotonic()
            if await connection.probe("/livez") != 200:
                raise RuntimeError("/livez failed")
            took.append(1000 * (time.monotonic() - began))
            connection.close()
            await asyncio.sleep(PROBE_EVERY_S)

    thread = threading.Thread(target=uvloop.run, args=(probe(),))
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()
