"""Many mixed requests after warm-up: is every answer its own, and does memory stay?"""

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
from bench.connection import Connection
from bench.server import running_server
from bench.workloads import IMAGE_MODEL, TEXT_MODEL, Source, body, prose, scenes

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]

CLIENTS = 16
ABANDON_ONE_IN = 100
"""Of the requests one in so many is left alone: its client goes before it is answered."""

TEXTS, PICTURES = 1_500, 100
TOLERANCE = 1e-5
"""Largest difference from the answer that an item gets alone; batches of other lengths round otherwise."""


@dataclass(frozen=True)
class Answered:
    """An item's embedding and the rollout behind it."""

    embedding: Vector
    attention: Vector | None


@dataclass(frozen=True)
class Asked:
    """One or a few items, and what each of them is answered with alone."""

    body: bytes
    expected: list[Answered]


def measure(artifacts: Sequence[Path], requests: int) -> dict[str, float]:
    """MB that the server grew in the second half, and the largest difference of any answer from its reference."""
    with running_server(artifacts) as url:
        found = uvloop.run(_measure(url, requests))
    print(f"soak: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}", file=sys.stderr, flush=True)
    return found


async def _measure(url: str, requests: int) -> dict[str, float]:
    pool = await _references(url)
    draw = random.Random(0)  # noqa: S311
    await _send(url, draw.choices(pool, k=requests // 20))  # warm-up
    start_mb = _resident_mb(url)
    first = await _send(url, draw.choices(pool, k=requests // 2))
    half_mb = _resident_mb(url)
    second = await _send(url, draw.choices(pool, k=requests - requests // 2))
    end_mb = _resident_mb(url)
    return {
        "requests": requests,
        "start_mb": start_mb,
        "half_mb": half_mb,
        "end_mb": end_mb,
        "grown_in_second_half_mb": end_mb - half_mb,
        "largest_difference": max(first, second),
        **wrk.pauses(url),
    }


async def _references(url: str) -> list[Asked]:
    """Requests of one to eight short texts, one text of any length, or a picture; one in ten with attention."""
    draw = random.Random(1)  # noqa: S311
    items: list[tuple[str, Source]] = [(TEXT_MODEL, text) for text in prose("mixed", TEXTS)]
    items += [(TEXT_MODEL, text) for text in prose("short", TEXTS)]
    items += [(IMAGE_MODEL, picture) for picture in scenes(PICTURES)]
    connection = await Connection.open(url)
    alone = [_answered(await connection.answer(body(model, [source], attention=True)))[0] for model, source in items]
    connection.close()
    pool = []
    for i, (model, _) in enumerate(items):
        chosen = [i]
        if TEXTS <= i < 2 * TEXTS:
            chosen += draw.choices(range(TEXTS, 2 * TEXTS), k=draw.randrange(8))
        asked = body(model, [items[j][1] for j in chosen], attention=i % 10 == 0)
        pool.append(Asked(asked, [alone[j] for j in chosen]))
    return pool


async def _send(url: str, requests: Sequence[Asked]) -> float:
    """All of them by a few clients; the largest difference of any embedding from its reference."""
    waiting, largest = iter(requests), 0.0

    async def client(leaves: Iterator[bool]) -> None:
        nonlocal largest
        connection = await Connection.open(url)
        for asked in waiting:
            if next(leaves):
                connection.send(asked.body)
                connection.close()
                connection = await Connection.open(url)
                continue
            answers = _answered(await connection.answer(asked.body))
            largest = max(largest, *map(_difference, answers, asked.expected))
        connection.close()

    leaves = (i % ABANDON_ONE_IN == 0 for i in count(1))
    await asyncio.gather(*(client(leaves) for _ in range(CLIENTS)))
    if largest > TOLERANCE:
        raise RuntimeError(f"an answer is {largest} off its reference")
    return largest


def _answered(answer: bytes) -> list[Answered]:
    return [
        Answered(
            np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4"),
            np.array(entry["attention"]["values"], dtype=np.float32) if "attention" in entry else None,
        )
        for entry in orjson.loads(answer)["data"]
    ]


def _difference(found: Answered, expected: Answered) -> float:
    largest = float(np.abs(found.embedding - expected.embedding).max())
    if found.attention is not None and expected.attention is not None:
        largest = max(largest, float(np.abs(found.attention - expected.attention).max()))
    return largest


def _resident_mb(url: str) -> float:
    return wrk.metrics(url)["process_resident_memory_bytes"] / 1e6
