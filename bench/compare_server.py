"""Comparison of this server with another running server of the same model and OpenAI's API."""

import base64
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

from bench import wrk
from bench.interleaved import Target, compare_rounds, run_interleaved
from bench.server import ServerError, run_server
from bench.timing import RunLength
from bench.workloads import TEXT_MODEL, WORD_RANGES, Workload, request_body, workload_texts
from models.artifact.arrays import Floats

TEXT_COUNT = 512

CLIENTS = {"16_clients": (16, 1), "1_client": (1, 1), "1_client_32": (1, 32)}
"""Number of clients, and of texts per request."""

MIN_COSINE = 0.999
"""Minimum cosine of the two servers' embeddings of a text. Other rounding gives 0.999999; another pooling, 0.5."""


def measure(artifacts: Sequence[Path], other: str, model: str, run_length: RunLength) -> dict[str, float]:
    """Measure both servers' rates and latencies, and the ratios of ours to the other's within each round.

    `other` is the URL of the other's endpoint, and `model` the model's name there. Raises ServerError if the other
    embeds differently.
    """
    wrk.require_wrk()
    text = next(path for path in artifacts if path.name == TEXT_MODEL)
    figures_by_case: dict[str, float] = {}
    with run_server([text]) as url:
        ours = url + "/v1/embeddings"
        check_same_embeddings(ours, other, model)
        for kind in WORD_RANGES:
            for clients, (connections, per_request) in CLIENTS.items():
                texts = workload_texts(kind, TEXT_COUNT)
                targets = {
                    "ours": Target(ours, Workload(kind, TEXT_MODEL, texts, per_request).bodies),
                    "other": Target(other, Workload(kind, model, texts, per_request).bodies),
                }
                figures = compare_rounds(run_interleaved(targets, connections=connections, run_length=run_length))
                figures_by_case |= {f"{kind}_{clients}_{name}": value for name, value in figures.items()}
                summary = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
                print(f"{kind}, {clients}: {summary}", file=sys.stderr, flush=True)
    return figures_by_case


def check_same_embeddings(ours: str, other: str, model: str) -> None:
    """Raise ServerError if the two embed differently: then the comparison would be of two models."""
    texts = [text for kind in WORD_RANGES for text in workload_texts(kind, 4)]
    mine, theirs = fetch_embeddings(ours, TEXT_MODEL, texts), fetch_embeddings(other, model, texts)
    if mine.shape != theirs.shape:
        mismatch = (
            f"{len(theirs)} embeddings of {theirs.shape[-1]} dimensions, expected {len(mine)} of {mine.shape[-1]}"
        )
        raise ServerError(f"{other} returned {mismatch}")
    cosines = (mine * theirs).sum(1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(theirs, axis=1)
    if not cosines.min() > MIN_COSINE:  # nor where it is no number
        raise ServerError(f"{other} embeds differently (cosine {cosines.min():.3f}): another model or pooling")


def fetch_embeddings(url: str, model: str, texts: Sequence[str]) -> Floats:
    """Fetch the vectors of `texts` `[n, e]` from OpenAI's endpoint at `url`. Raises ServerError."""
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, request_body(model, texts), headers)  # noqa: S310  # given by hand
        with urllib.request.urlopen(request, timeout=wrk.RESPONSE_TIMEOUT_S) as response:  # noqa: S310
            return np.array([_decode_vector(one["embedding"]) for one in orjson.loads(response.read())["data"]])
    except urllib.error.HTTPError as error:
        detail = error.read(200).decode(errors="replace")
        raise ServerError(f"{url} returned {error.code}: {detail}") from error
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ServerError(f"{url} is not an OpenAI embeddings endpoint ({error!r})") from error


def _decode_vector(value: str | list[float]) -> Floats:
    """Not every server knows base64."""
    return np.frombuffer(base64.b64decode(value), "<f4") if isinstance(value, str) else np.array(value, np.float32)
