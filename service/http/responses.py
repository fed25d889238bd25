"""JSON responses. A large one is sent while it is serialized, so that it is never in memory whole.

HTTP/1.0 has no chunked encoding: there the whole body is buffered.
"""

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from models.artifact.arrays import Floats, Ints
from service.http.body import JSON

CHUNK_BYTES = 128 * 1024
"""JSON bytes encoded per turn of the event loop: 1 to 2 ms."""

CHUNK_VALUES = 3 * 2**13
"""Values encoded to base64 per turn. A multiple of three bytes, so that encoded chunks can be joined."""

JSON_NUMBER_BYTES = 12
"""Approximate size of a float32 in JSON."""

Number = TypeVar("Number", bound=np.generic)

_PLACEHOLDER = b"\0"
"""Placeholder of a part. It cannot occur elsewhere in JSON: strings have it escaped."""


class StreamedValue(ABC):
    """What content may hold in a value's place, to be written when its turn comes."""

    @abstractmethod
    def iter_json(self) -> Iterator[bytes]:
        """Yield the value's JSON, in order."""


class JsonArray(StreamedValue):
    """An array, as nested lists."""

    def __init__(self, array: Floats | Ints) -> None:
        self._array = array

    def iter_json(self) -> Iterator[bytes]:
        return _iter_rows(self._array)


class Base64Array(StreamedValue):
    """An array, as base64 of the bytes that `convert` makes of its values, row by row."""

    def __init__(self, array: NDArray[Number], convert: Callable[[NDArray[Number]], NDArray[Any]]) -> None:
        self._flat = array.reshape(-1)
        self._convert = convert

    def iter_json(self) -> Iterator[bytes]:
        yield b'"'
        for start in range(0, len(self._flat), CHUNK_VALUES):
            yield base64.b64encode(self._convert(self._flat[start : start + CHUNK_VALUES]).data)
        yield b'"'


class StreamedList(StreamedValue):
    """A list, whose entries may be made as they are written, and hold parts too."""

    def __init__(self, entries: Iterable[object]) -> None:
        self._entries = entries

    def iter_json(self) -> Iterator[bytes]:
        yield b"["
        for i, entry in enumerate(self._entries):
            if i:
                yield b","
            yield from iter_json(entry)
        yield b"]"


def dump(content: object) -> bytes:
    """Strict JSON at a stretch, with arrays as nested lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def iter_json(content: object) -> Iterator[bytes]:
    """Yield the JSON of content that may hold streamed values."""
    streamed_values: list[StreamedValue] = []

    def defer(value: object) -> orjson.Fragment:
        if not isinstance(value, StreamedValue):
            raise TypeError  # orjson names the type
        streamed_values.append(value)
        return orjson.Fragment(_PLACEHOLDER)

    first, *rest = orjson.dumps(content, defer, orjson.OPT_SERIALIZE_NUMPY).split(_PLACEHOLDER)
    yield first
    for streamed_value, suffix in zip(streamed_values, rest, strict=True):
        yield from streamed_value.iter_json()
        yield suffix


def to_base64(values: Floats | Ints, dtype: str) -> str:
    """Little-endian bytes of `dtype`, in base64."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")


def _iter_rows(array: Floats | Ints) -> Iterator[bytes]:
    if array.size * JSON_NUMBER_BYTES <= CHUNK_BYTES:
        yield dump(array)
        return
    row_bytes = array[0].size * JSON_NUMBER_BYTES
    yield b"["
    if row_bytes > CHUNK_BYTES:
        for i, row in enumerate(array):
            yield from ((b",", *_iter_rows(row)) if i else _iter_rows(row))
    else:
        step = CHUNK_BYTES // row_bytes
        for i in range(0, len(array), step):
            yield (b"," if i else b"") + dump(array[i : i + step])[1:-1]
    yield b"]"


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
        await asyncio.sleep(0)  # send() returns at once until the client is far behind


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
