"""Side by side: this server, and another one that serves the same model by OpenAI's contract and runs already."""

import base64
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import orjson

from bench import wrk
from bench.rounds import Length
from bench.server import ServerFailed, running_server
from bench.turns import Target, in_turn, medians
from bench.workloads import TEXT_MODEL, WORDS, Workload, body, prose
from models.contract.arrays import Floats

TEXTS = 512

CLIENTS = {"16_clients": (16, 1), "1_client": (1, 1), "1_client_32": (1, 32)}
"""How many there are, and how many texts each of their requests has."""

ALIKE = 0.999
"""Least cosine of the two servers' embeddings of a text. Other rounding gives 0.999999; another pooling, 0.5."""


def measure(artifacts: Sequence[Path], other: str, model: str, length: Length) -> dict[str, float]:
    """Requests a second and latencies of both, and ratios of ours to the other's within each round. `other` is the URL
    of its endpoint, and `model` what the model is called there.

    Raises ServerFailed where the other does not answer as this one does.
    """
    wrk.check()
    text = next(path for path in artifacts if path.name == TEXT_MODEL)
    found: dict[str, float] = {}
    with running_server([text]) as url:
        ours = url + "/v1/embeddings"
        check_alike(ours, other, model)
        for kind in WORDS:
            for clients, (connections, per_request) in CLIENTS.items():
                texts = prose(kind, TEXTS)
                targets = {
                    "ours": Target(ours, Workload(kind, TEXT_MODEL, texts, per_request).bodies),
                    "other": Target(other, Workload(kind, model, texts, per_request).bodies),
                }
                sent = in_turn(targets, connections=connections, length=length)
                figures = medians(sent) | ratios(sent["ours"], sent["other"])
                found |= {f"{kind}_{clients}_{name}": value for name, value in figures.items()}
                told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
                print(f"{kind}, {clients}: {told}", file=sys.stderr, flush=True)
    return found


def check_alike(ours: str, other: str, model: str) -> None:
    """Raises ServerFailed where the two embed otherwise: a comparison of two models would be none."""
    texts = [text for kind in WORDS for text in prose(kind, 4)]
    mine, theirs = embedded(ours, TEXT_MODEL, texts), embedded(other, model, texts)
    if mine.shape != theirs.shape:
        told = f"{len(theirs)} vectors of {theirs.shape[-1]} numbers, not {len(mine)} of {mine.shape[-1]}"
        raise ServerFailed(f"{other} answers with {told}")
    cosines = (mine * theirs).sum(1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(theirs, axis=1)
    if not cosines.min() > ALIKE:  # nor where it is no number
        raise ServerFailed(f"{other} embeds otherwise (a cosine of {cosines.min():.3f}): another model, or pooling")


def ratios(ours: Sequence[wrk.Sent], other: Sequence[wrk.Sent]) -> dict[str, float]:
    """A rate of more than 1 and a p50 of less say that ours is faster. Where one client's request takes seconds, trust
    the p50 alone: the request that is under way when the time is over is not counted."""
    pairs = list(zip(ours, other, strict=True))
    return {
        "rate_of_other": median(one.requests_per_second / two.requests_per_second for one, two in pairs),
        "p50_of_other": median(one.p50_ms / two.p50_ms for one, two in pairs),
    }


def embedded(url: str, model: str, texts: Sequence[str]) -> Floats:
    """The vectors of `texts` [n, e] by OpenAI's endpoint at `url`. Raises ServerFailed."""
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(url, body(model, texts, attention=False), headers)  # noqa: S310  # given by hand
        with urllib.request.urlopen(request, timeout=wrk.ANSWER_WITHIN_S) as answer:  # noqa: S310
            return np.array([_vector(one["embedding"]) for one in orjson.loads(answer.read())["data"]])
    except urllib.error.HTTPError as error:
        said = error.read(200).decode(errors="replace")
        raise ServerFailed(f"{url} answers with {error.code}: {said}") from error
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise ServerFailed(f"{url} does not answer as OpenAI's endpoint does ({error!r})") from error


def _vector(told: str | list[float]) -> Floats:
    """Not every server knows base64."""
    return np.frombuffer(base64.b64decode(told), "<f4") if isinstance(told, str) else np.array(told, np.float32)
