"""Side by side: this server, and the same encoder behind BentoML's own batching."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import orjson

from bench import wrk
from bench.server import running, running_server
from bench.serving import Length
from bench.workloads import TEXT_MODEL, body, prose

CONNECTIONS = 16
REQUESTS = 512


def measure(artifacts: Sequence[Path], length: Length) -> dict[str, float]:
    """Requests a second and latencies of one-text requests, the two servers in turn; both run throughout."""
    wrk.check()
    text = next(path for path in artifacts if path.name == TEXT_MODEL)
    command = ["-m", "bentoml", "serve", "bench.batchable:Batchable"]
    found: dict[str, float] = {}
    with running_server([text]) as ours, running(command, {"BENCH_ARTIFACT": str(text)}) as theirs:
        for kind in ("short", "mixed", "long"):
            texts = prose(kind, REQUESTS)
            ways = {
                "headlight": (ours + "/v1/embeddings", [_asked(text) for text in texts]),
                "batchable": (theirs.url + "/embed", [orjson.dumps({"texts": [text]}) for text in texts]),
            }
            sent: dict[str, list[wrk.Sent]] = {name: [] for name in ways}
            for _ in range(length.rounds):
                for name, (url, bodies) in ways.items():
                    seconds = 2 * length.seconds
                    sent[name].append(wrk.closed_loop_at(url, bodies, connections=CONNECTIONS, seconds=seconds))
            for name, each in sent.items():
                found[f"{kind}_{name}_per_s"] = median(one.requests_per_second for one in each)
                found[f"{kind}_{name}_p50_ms"] = median(one.p50_ms for one in each)
                found[f"{kind}_{name}_p99_ms"] = median(one.p99_ms for one in each)
    print(f"batching: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


def _asked(text: str) -> bytes:
    """Answered in floats, as theirs is."""
    return body(TEXT_MODEL, [text], attention=False, encoding="float")
