"""An open loop: requests are sent when they are due, however long others take, and timed from when they were due.

A stalled server is seen in the tail, where clients that wait for each answer would just send less.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import uvloop

from bench.connection import Connection

Milliseconds = dict[str, list[float]]
"""By kind of request."""


@dataclass(frozen=True)
class Request:
    """`kind` tells apart what is timed together."""

    kind: str
    body: bytes


def open_loop(
    url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int, refusals: bool = False
) -> Milliseconds:
    """Send `requests` in turn at `rate` a second, at random times; the ms that each took, by kind.

    Raises RuntimeError for an answer that is not 200, unless `refusals` are to be expected: their kind is the status.
    """
    return uvloop.run(_Sender(url, refusals).send_all(requests, rate=rate, seconds=seconds, seed=seed))


class _Sender:
    def __init__(self, url: str, refusals: bool) -> None:
        self._url = url
        self._refusals = refusals
        self._idle: list[Connection] = []
        self._opened: list[Connection] = []
        self._took: Milliseconds = {}
        self._failures: list[RuntimeError] = []

    async def send_all(self, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> Milliseconds:
        draw = random.Random(seed)  # noqa: S311
        due = time.monotonic()
        end = due + seconds
        async with asyncio.TaskGroup() as sending:
            for request in cycle(requests):
                due += draw.expovariate(rate)
                if due > end or self._failures:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                sending.create_task(self._send(request, due))
        for connection in self._opened:
            connection.close()
        if self._failures:
            raise self._failures[0]
        return self._took

    async def _send(self, request: Request, due: float) -> None:
        connection = await self._connection()
        status, _ = await connection.exchange(request.body)
        if status != 200 and not self._refusals:
            self._failures.append(RuntimeError(f"answered with {status}"))  # told when all under way have ended
            return
        kind = request.kind if status == 200 else str(status)
        self._took.setdefault(kind, []).append(1000 * (time.monotonic() - due))
        self._idle.append(connection)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        connection = await Connection.open(self._url)
        self._opened.append(connection)
        return connection
