"""Many mixed requests after warm-up: is every answer its own, and does memory stay?"""

import asyncio
import base64
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import uvloop

from bench import wrk
from bench.connection import Connection
from bench.server import running_server
from bench.workloads import IMAGE_MODEL, TEXT_MODEL, Source, body, prose, scenes

CLIENTS = 16
TEXTS, PICTURES = 1_500, 100
TOLERANCE = 1e-5
"""Largest difference from the answer that an item gets alone; batches of other lengths round otherwise."""


@dataclass(frozen=True)
class Asked:
    """One or a few items, and what each of them is answered with alone."""

    body: bytes
    expected: list[np.ndarray[tuple[int], np.dtype[np.float32]]]
    attention: bool


def measure(artifacts: Sequence[Path], requests: int) -> dict[str, float]:
    """MB that the server grew in the second half, and the largest difference of any answer from its reference."""
    with running_server(artifacts) as url:
        found = uvloop.run(_measure(url, requests))
    print(f"soak: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


async def _measure(url: str, requests: int) -> dict[str, float]:
    pool = await _references(url)
    draw = random.Random(0)  # noqa: S311
    await _send(url, [draw.choice(pool) for _ in range(requests // 20)])  # warm-up
    start_mb = _resident_mb(url)
    first = await _send(url, [draw.choice(pool) for _ in range(requests // 2)])
    half_mb = _resident_mb(url)
    second = await _send(url, [draw.choice(pool) for _ in range(requests - requests // 2)])
    return {
        "requests": requests,
        "start_mb": start_mb,
        "half_mb": half_mb,
        "end_mb": _resident_mb(url),
        "grown_in_second_half_mb": _resident_mb(url) - half_mb,
        "largest_difference": max(first, second),
    }


async def _references(url: str) -> list[Asked]:
    """Requests of one to eight short texts, one text of any length, or a picture; one in ten with attention."""
    draw = random.Random(1)  # noqa: S311
    items: list[tuple[str, Source]] = [(TEXT_MODEL, text) for text in prose("mixed", TEXTS)]
    items += [(TEXT_MODEL, text) for text in prose("short", TEXTS)]
    items += [(IMAGE_MODEL, picture) for picture in scenes(PICTURES)]
    connection = await Connection.open(url)
    alone = [_embeddings(await connection.answer(body(model, [source], attention=False)))[0] for model, source in items]
    connection.close()
    pool = []
    for i, (model, source) in enumerate(items):
        chosen = [i]
        if TEXTS <= i < 2 * TEXTS:
            chosen += draw.choices(range(TEXTS, 2 * TEXTS), k=draw.randrange(8))
        attention = i % 10 == 0
        asked = body(model, [items[j][1] for j in chosen] if len(chosen) > 1 else [source], attention=attention)
        pool.append(Asked(asked, [alone[j] for j in chosen], attention))
    return pool


async def _send(url: str, requests: Sequence[Asked]) -> float:
    """All of them by a few clients; the largest difference of any embedding from its reference."""
    waiting, largest = iter(requests), 0.0

    async def client() -> None:
        nonlocal largest
        connection = await Connection.open(url)
        for asked in waiting:
            answer = await connection.answer(asked.body)
            for found, expected in zip(_embeddings(answer), asked.expected, strict=True):
                largest = max(largest, float(np.abs(found - expected).max()))
            if asked.attention:
                _check_attention(answer)
        connection.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    if largest > TOLERANCE:
        raise RuntimeError(f"an answer is {largest} off its reference")
    return largest


def _embeddings(answer: bytes) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    entries = orjson.loads(answer)["data"]
    return [np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4") for entry in entries]


def _check_attention(answer: bytes) -> None:
    for entry in orjson.loads(answer)["data"]:
        told = sum(entry["attention"]["values"])
        if abs(told - 1) > TOLERANCE:
            raise RuntimeError(f"attention sums to {told}")


def _resident_mb(url: str) -> float:
    return wrk.metrics(url)["process_resident_memory_bytes"] / 1e6
