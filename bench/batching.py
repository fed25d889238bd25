"""Side by side: this server, and the same encoder behind BentoML's own batching."""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench import wrk
from bench.rounds import Length
from bench.server import running, running_server
from bench.turns import Target, in_turn, medians
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
            targets = {
                "headlight": Target(ours + "/v1/embeddings", [_asked(text) for text in texts]),
                "batchable": Target(theirs.url + "/embed", [orjson.dumps({"texts": [text]}) for text in texts]),
            }
            figures = medians(in_turn(targets, connections=CONNECTIONS, length=length))
            found |= {f"{kind}_{name}": value for name, value in figures.items()}
    print(f"batching: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


def _asked(text: str) -> bytes:
    """Answered in floats, as theirs is."""
    return body(TEXT_MODEL, [text], attention=False, encoding="float")
