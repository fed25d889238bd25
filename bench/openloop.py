"""An open loop: requests are sent when they are due, however long others take, and timed from when they were due.

A stalled server is seen in the tail, where clients that wait for each answer would just send less.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import uvloop

from bench.connection import Connection


@dataclass(frozen=True)
class Request:
    """`kind` tells apart what is timed together."""

    kind: str
    body: bytes


Milliseconds = dict[str, list[float]]
"""By kind of request."""


def open_loop(url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> Milliseconds:
    """Send `requests` in turn at `rate` a second, at random times; the ms that each took, by kind.

    Raises RuntimeError for an answer that is not 200.
    """
    return uvloop.run(_send_all(url, requests, rate=rate, seconds=seconds, seed=seed))


async def _send_all(url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> Milliseconds:
    took: Milliseconds = {}
    idle: list[Connection] = []
    loop, draw = asyncio.get_running_loop(), random.Random(seed)  # noqa: S311
    end = loop.time() + seconds
    due = loop.time()
    async with asyncio.TaskGroup() as sending:
        for request in cycle(requests):
            due += draw.expovariate(rate)
            if due > end:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))
            sending.create_task(_send(url, request, due, idle, took))
    for connection in idle:
        connection.close()
    return took


async def _send(url: str, request: Request, due: float, idle: list[Connection], took: Milliseconds) -> None:
    loop = asyncio.get_running_loop()
    if idle:
        connection = idle.pop()
    else:
        connection = await Connection.open(url)
    await connection.answer(request.body)
    took.setdefault(request.kind, []).append(1000 * (loop.time() - due))
    idle.append(connection)
