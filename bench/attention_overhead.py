"""Overhead of attention over HTTP, compared with embedding only: long texts in sequence on one connection."""

import http.client
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np
import orjson

from bench.graphs import LONG_TOKENS
from bench.server import run_server
from bench.workloads import TEXT_MODEL

ATTENTION_OPTIONS: Mapping[str, object] = {
    "embedding": None,
    "rollout": True,
    "raw_base64": {"reduce": "raw", "encoding": "base64"},
    "raw_json": {"reduce": "raw"},
    "heads_mean_base64": {"reduce": "raw", "heads": "mean", "encoding": "base64"},
    "top_8_base64": {"reduce": "raw", "top_k": 8, "encoding": "base64"},
}
"""Measured options; `raw` requests all layers."""

CLS_ID, SEP_ID = 101, 102
"""Special tokens of all-MiniLM-L6-v2, which the service requires around token ids."""

REQUESTS_PER_ROUND = 10
"""Requests of each kind per round, interleaved."""


def measure(artifacts: Sequence[Path], rounds: int) -> dict[str, float]:
    """Medians in ms until the answer is read, bytes of it, and ratios to the embedding's time and to JSON's bytes."""
    words = np.random.default_rng(0).integers(1_000, 20_000, LONG_TOKENS - 2).tolist()
    ids = [CLS_ID, *words, SEP_ID]
    bodies = {name: _body(ids, attention) for name, attention in ATTENTION_OPTIONS.items()}
    durations: dict[str, list[float]] = {name: [] for name in ATTENTION_OPTIONS}
    sizes: dict[str, int] = {}
    with run_server(artifacts) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        for i in range(rounds * REQUESTS_PER_ROUND + 1):
            for name, body in bodies.items():
                started = time.perf_counter()
                sizes[name] = len(_post(connection, body))
                if i:  # the first warms up
                    durations[name].append(time.perf_counter() - started)
        connection.close()
    medians = {name: median(times) for name, times in durations.items()}
    figures: dict[str, float] = {}
    for name in ATTENTION_OPTIONS:
        figures |= {f"{name}_ms": 1e3 * medians[name], f"{name}_bytes": sizes[name]}
        figures[f"{name}_of_embedding"] = medians[name] / medians["embedding"]
    figures["base64_bytes_of_json"] = sizes["raw_base64"] / sizes["raw_json"]
    summary = ", ".join(
        f"{name} {figures[f'{name}_ms']:.1f} ms ({figures[f'{name}_of_embedding']:.2f})" for name in ATTENTION_OPTIONS
    )
    print(f"attention over HTTP: {summary}", file=sys.stderr, flush=True)
    return figures


def _body(ids: Sequence[int], attention: object) -> bytes:
    return orjson.dumps({"model": TEXT_MODEL, "input": [ids], "encoding_format": "base64", "attention": attention})


def _post(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"status {response.status}")
    return content
