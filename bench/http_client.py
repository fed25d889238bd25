"""Minimal HTTP/1.1 client of low cost: one request at a time, responses with a length."""

import asyncio
from typing import Self, cast
from urllib.parse import urlsplit


class HttpConnection(asyncio.Protocol):
    """A connection that is kept."""

    def __init__(self) -> None:
        self.closed_by_server = False
        """Whether the server closed the connection: it may not keep an idle one."""
        self._received = bytearray()
        self._response: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def connect(cls, url: str) -> Self:
        host, _, port = urlsplit(url).netloc.partition(":")
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_by_server = True
        if self._response and not self._response.done():
            self._response.set_exception(exc or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, complete, body = self._received.partition(b"\r\n\r\n")
        if not complete or self._response is None:
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= int(length.partition(b":")[2]):
            self._received.clear()
            self._response.set_result((int(head[9:12]), bytes(body)))

    async def post(self, body: bytes) -> bytes:
        """Send one request to `/v1/embeddings` and return the body. Raises RuntimeError if its status is not 200."""
        status, content = await self.post_any_status(body)
        if status != 200:
            raise RuntimeError(f"status {status}")
        return content

    async def post_any_status(self, body: bytes) -> tuple[int, bytes]:
        """Send one request and return status and body, whatever the status."""
        self._response = asyncio.get_running_loop().create_future()
        self.send(body)
        return await self._response

    async def get_status(self, path: str) -> int:
        """Status of a `GET`."""
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(b"GET %b HTTP/1.1\r\nHost: bench\r\n\r\n" % path.encode())
        return (await self._response)[0]

    def send(self, body: bytes) -> None:
        """Ask, and do not wait."""
        self._transport.write(
            b"POST /v1/embeddings HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    def close(self) -> None:
        self._transport.close()
