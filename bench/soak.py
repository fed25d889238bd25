"""Soak test: many mixed requests, with a check of every response and of memory."""

import asyncio
import base64
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import orjson
import uvloop

from bench import wrk
from bench.http_client import HttpConnection
from bench.server import run_server
from bench.workloads import IMAGE_MODEL, TEXT_MODEL, InputData, request_body, workload_images, workload_texts

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]

CLIENTS = 16
DISCONNECT_EVERY = 100
"""One request in DISCONNECT_EVERY is abandoned: its client disconnects before the response."""

TEXT_COUNT, IMAGE_COUNT = 1_500, 100
TOLERANCE = 1e-5
"""Largest accepted difference from the response of the item alone; rounding depends on the lengths in a batch."""


@dataclass(frozen=True)
class Response:
    """An item's embedding and the rollout behind it."""

    embedding: Vector
    attention: Vector | None


@dataclass(frozen=True)
class Case:
    """One or a few items, and what each of them is answered with alone."""

    body: bytes
    expected: list[Response]


def measure(artifacts: Sequence[Path], requests: int) -> dict[str, float]:
    """MB that the server grew in the second half, and the largest difference of any answer from its reference."""
    with run_server(artifacts) as url:
        figures = uvloop.run(_measure(url, requests))
    print(f"soak: {', '.join(f'{key} {value:.4g}' for key, value in figures.items())}", file=sys.stderr, flush=True)
    return figures


async def _measure(url: str, requests: int) -> dict[str, float]:
    pool = await _reference_cases(url)
    rng = random.Random(0)  # noqa: S311
    await _send(url, rng.choices(pool, k=requests // 20))  # warm-up
    start_mb = _resident_mb(url)
    first = await _send(url, rng.choices(pool, k=requests // 2))
    half_mb = _resident_mb(url)
    second = await _send(url, rng.choices(pool, k=requests - requests // 2))
    end_mb = _resident_mb(url)
    return {
        "requests": requests,
        "start_mb": start_mb,
        "half_mb": half_mb,
        "end_mb": end_mb,
        "grown_in_second_half_mb": end_mb - half_mb,
        "largest_difference": max(first, second),
        **wrk.count_gc_pauses(url),
    }


async def _reference_cases(url: str) -> list[Case]:
    """Make requests of one to eight short texts, one text of any length, or an image; one in ten with attention."""
    rng = random.Random(1)  # noqa: S311
    items: list[tuple[str, InputData]] = [(TEXT_MODEL, text) for text in workload_texts("mixed", TEXT_COUNT)]
    items += [(TEXT_MODEL, text) for text in workload_texts("short", TEXT_COUNT)]
    items += [(IMAGE_MODEL, picture) for picture in workload_images(IMAGE_COUNT)]
    connection = await HttpConnection.connect(url)
    alone = [
        _parse_responses(await connection.post(request_body(model, [source], attention=True)))[0]
        for model, source in items
    ]
    connection.close()
    pool = []
    for i, (model, _) in enumerate(items):
        chosen = [i]
        if TEXT_COUNT <= i < 2 * TEXT_COUNT:
            chosen += rng.choices(range(TEXT_COUNT, 2 * TEXT_COUNT), k=rng.randrange(8))
        body = request_body(model, [items[j][1] for j in chosen], attention=i % 10 == 0)
        pool.append(Case(body, [alone[j] for j in chosen]))
    return pool


async def _send(url: str, cases: Sequence[Case]) -> float:
    """All of them by a few clients; the largest difference of any embedding from its reference."""
    pending, largest = iter(cases), 0.0

    async def client(disconnects: Iterator[bool]) -> None:
        nonlocal largest
        connection = await HttpConnection.connect(url)
        for case in pending:
            if next(disconnects):
                connection.send(case.body)
                connection.close()
                connection = await HttpConnection.connect(url)
                continue
            responses = _parse_responses(await connection.post(case.body))
            largest = max(largest, *map(_difference, responses, case.expected))
        connection.close()

    disconnects = (i % DISCONNECT_EVERY == 0 for i in count(1))
    await asyncio.gather(*(client(disconnects) for _ in range(CLIENTS)))
    if largest > TOLERANCE:
        raise RuntimeError(f"a response differs from its reference by {largest}")
    return largest


def _parse_responses(content: bytes) -> list[Response]:
    return [
        Response(
            np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4"),
            np.array(entry["attention"]["values"], dtype=np.float32) if "attention" in entry else None,
        )
        for entry in orjson.loads(content)["data"]
    ]


def _difference(response: Response, expected: Response) -> float:
    largest = float(np.abs(response.embedding - expected.embedding).max())
    if response.attention is not None and expected.attention is not None:
        largest = max(largest, float(np.abs(response.attention - expected.attention).max()))
    return largest


def _resident_mb(url: str) -> float:
    return wrk.scrape_metrics(url)["process_resident_memory_bytes"] / 1e6
