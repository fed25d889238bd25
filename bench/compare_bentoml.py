"""Comparison of this server with the same encoder behind BentoML's own batching, both running."""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench import wrk
from bench.interleaved import Target, compare_rounds, run_interleaved
from bench.server import run_server, run_server_command
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL, request_body, workload_texts

CONNECTIONS = 16
TEXT_COUNT = 512


def measure(artifacts: Sequence[Path], run_length: RunLength) -> dict[str, float]:
    """Measure requests per second and latencies of one-text requests, the two servers in turn; both run throughout."""
    wrk.require_wrk()
    text = next(path for path in artifacts if path.name == TEXT_MODEL)
    command = ["-m", "bentoml", "serve", "bench.bentoml_service:BentoMLBatching"]
    figures_by_case: dict[str, float] = {}
    with run_server([text]) as ours, run_server_command(command, {"BENCH_ARTIFACT": str(text)}) as theirs:
        for kind in ("short", "mixed", "long"):
            texts = workload_texts(kind, TEXT_COUNT)
            targets = {
                "headlight": Target(ours + "/v1/embeddings", [_body_in_floats(text) for text in texts]),
                "batchable": Target(theirs.url + "/embed", [orjson.dumps({"texts": [text]}) for text in texts]),
            }
            figures = compare_rounds(run_interleaved(targets, connections=CONNECTIONS, run_length=run_length))
            figures_by_case |= {f"{kind}_{name}": value for name, value in figures.items()}
    print(
        f"batching: {', '.join(f'{key} {value:.4g}' for key, value in figures_by_case.items())}",
        file=sys.stderr,
        flush=True,
    )
    return figures_by_case


def _body_in_floats(text: str) -> bytes:
    """Answered in floats, as theirs is."""
    return request_body(TEXT_MODEL, [text], encoding="float")
