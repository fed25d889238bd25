"""Open-loop load: requests are sent when due, whatever the others do, and timed from when they were due.

A stalled server is seen in the tail, where clients that wait for each answer would just send less.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import uvloop

from bench.http_client import HttpConnection
from loadtests.arrivals import arrival_times

LatenciesMs = dict[str, list[float]]
"""Latencies in ms by kind of request."""


@dataclass(frozen=True)
class Request:
    """`kind` tells apart what is timed together."""

    kind: str
    body: bytes


def open_loop(
    url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int, allow_rejections: bool = False
) -> LatenciesMs:
    """Send `requests` in turn at `rate` a second, at random times; the ms that each took, by kind.

    Raises RuntimeError for an answer that is not 200, unless `allow_rejections` are to be expected: their kind is the
    status.
    """
    return uvloop.run(_Sender(url, allow_rejections).send_all(requests, rate=rate, seconds=seconds, seed=seed))


class _Sender:
    def __init__(self, url: str, allow_rejections: bool) -> None:
        self._url = url
        self._allow_rejections = allow_rejections
        self._idle: list[HttpConnection] = []
        self._opened: list[HttpConnection] = []
        self._latencies: LatenciesMs = {}
        self._failures: list[RuntimeError] = []

    async def send_all(self, requests: Sequence[Request], *, rate: float, seconds: float, seed: int) -> LatenciesMs:
        started = time.monotonic()
        end = started + seconds
        arrivals = arrival_times(rate, started, "poisson", random.Random(seed))  # noqa: S311
        async with asyncio.TaskGroup() as sending:
            for request, due in zip(cycle(requests), arrivals, strict=False):
                if due > end or self._failures:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                sending.create_task(self._send(request, due))
        for connection in self._opened:
            connection.close()
        if self._failures:
            raise self._failures[0]
        return self._latencies

    async def _send(self, request: Request, due: float) -> None:
        connection = await self._acquire_connection()
        status, _ = await connection.post_any_status(request.body)
        if status != 200 and not self._allow_rejections:
            self._failures.append(RuntimeError(f"status {status}"))  # raised once no request is in flight
            return
        kind = request.kind if status == 200 else str(status)
        self._latencies.setdefault(kind, []).append(1000 * (time.monotonic() - due))
        self._idle.append(connection)

    async def _acquire_connection(self) -> HttpConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed_by_server:
                return connection
        connection = await HttpConnection.connect(self._url)
        self._opened.append(connection)
        return connection
