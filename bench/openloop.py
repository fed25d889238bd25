"""An open loop: requests are sent when they are due, however long others take, and timed from when they were due.

A stalled server is seen in the tail, where clients that wait for each answer would just send less.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit

import uvloop


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
    idle: list[_Connection] = []
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


async def _send(url: str, request: Request, due: float, idle: list["_Connection"], took: Milliseconds) -> None:
    loop = asyncio.get_running_loop()
    if idle:
        connection = idle.pop()
    else:
        host, _, port = urlsplit(url).netloc.partition(":")
        _, connection = await loop.create_connection(_Connection, host, int(port))
    status = await connection.post(request.body)
    took.setdefault(request.kind, []).append(1000 * (loop.time() - due))
    if status != 200:
        raise RuntimeError(f"answered with {status}")
    idle.append(connection)


class _Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 to cost little: one request at a time, answers that tell their length."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= int(length.partition(b":")[2]):
            self._received.clear()
            self._answer.set_result(int(head[9:12]))

    async def post(self, body: bytes) -> int:
        """The status of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST /v1/embeddings HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        return await self._answer

    def close(self) -> None:
        self._transport.close()
