"""JSON responses. A large one is sent while it is serialized, so that it is never in memory whole.

HTTP/1.0 has no chunked encoding: there the whole body is buffered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.http.body import JSON
from service.http.json_stream import CHUNK_BYTES, dump, iter_json

MAX_BUFFERED_BYTES = 1024 * 1024
"""Maximum size of a response that is sent at once, with a Content-Length; larger ones are streamed."""


def json_response(content: object) -> Response:
    """Serialize a small response without yielding to the event loop."""
    return Response(dump(content), media_type=JSON)


async def streaming_json(content: object) -> Response:
    """Serialize a response of any size, yielding to the event loop between chunks; `content` may hold parts."""
    chunks, buffered, size = _chunks(iter_json(content)), [], 0
    for chunk in chunks:
        buffered.append(chunk)
        size += len(chunk)
        if size > MAX_BUFFERED_BYTES:
            return _StreamingJsonResponse(b"".join(buffered), chunks)
        if size >= CHUNK_BYTES:
            await asyncio.sleep(0)
    return Response(b"".join(buffered), media_type=JSON)


class _StreamingJsonResponse(StreamingResponse):
    """Streamed response: its first bytes, then chunks serialized while sending. Stops when the client disconnects."""

    def __init__(self, first: bytes, chunks: Iterator[bytes]) -> None:
        self._chunks = chain((first,), chunks)
        super().__init__(_yielding(self._chunks), media_type=JSON)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["http_version"] == "1.0":
            body = b"".join([chunk async for chunk in _yielding(self._chunks)])
            self.headers["content-length"] = str(len(body))
            self.body_iterator = _yielding((body,))
        await super().__call__(scope, receive, send)


async def _yielding(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)  # sending does not wait until the client is far behind


def _chunks(fragments: Iterator[bytes]) -> Iterator[bytes]:
    """Join fragments to chunks of at least `CHUNK_BYTES`, except the last."""
    buffered, size = [], 0
    for fragment in fragments:
        buffered.append(fragment)
        size += len(fragment)
        if size >= CHUNK_BYTES:
            yield b"".join(buffered)
            buffered, size = [], 0
    yield b"".join(buffered)
