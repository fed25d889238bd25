"""Reading a request's body: bounded while it arrives, decoded, then strict JSON where it is to be JSON."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import orjson

from service.errors import BodyTooLarge, InvalidJson, Overloaded, UnsupportedMediaType
from service.http import structure
from service.http.exchange import Exchange

JSON = "application/json"

DROPPED_S, DROPPED_TIMES = 0.5, 4
"""A body that is too large is read on and dropped for so long, and up to so many times what is allowed: most clients
look for an answer only when they have sent everything, and a connection closed before is all that they see."""

INLINE_BYTES = 4_096
"""Of gzip that is decoded on the event loop: at most 4 MB of zeros, 2 ms."""

SLICE_BYTES, MOST_MEMBERS = 64 * 1024, 1_000

EITHER = 32 + zlib.MAX_WBITS  # the format is told by its header


def media_type(request: Exchange) -> str:
    """What the body is said to be, in lower case and without parameters; a missing Content-Type is JSON."""
    return request.fields.get("content-type", JSON).partition(";")[0].strip().lower() or JSON


async def read(request: Exchange) -> bytes:
    """The body, decoded; it counts as held until `release`.

    Raises UnsupportedMediaType, InvalidJson when decoding fails, BodyTooLarge, or Overloaded.
    """
    state = request.headlight
    most = state.settings.max_body_bytes
    coding = request.fields.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaType("the body may be encoded as gzip or deflate, or not at all")
    content = await _receive(request, most)
    if coding == "identity":
        return content
    if len(content) <= INLINE_BYTES:
        inflated = inflate(content, most)
    else:
        # Not on the threads that decode pictures: behind some of those it would wait for seconds.
        inflated = await asyncio.to_thread(inflate, content, most)
    _hold(request, len(inflated))
    return inflated


def release(request: Exchange) -> None:
    """The request's body is held no more."""
    _hold(request, 0)


def _hold(request: Exchange, size: int) -> None:
    """Count so many bytes as this request's. Raises Overloaded."""
    state = request.headlight
    try:
        state.bodies.change(request.body_bytes, size, state.settings.max_body_bytes)
    except Overloaded:
        state.metrics.shed.labels("overloaded").inc()
        raise
    request.body_bytes = size


def parse(body: bytes, max_containers: int = structure.MAX_CONTAINERS) -> object:
    """Strict JSON, with at most so many lists and objects, as deep and wide as `structure` lets it. Raises InvalidJson.

    NaN and Infinity literals, lone surrogates and numbers past float64 are no JSON here.
    """
    structure.check(body, max_containers)
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not JSON (at character {error.pos})") from None
    return parsed


def inflate(content: bytes, most: int) -> bytes:
    """What gzip or deflate made small. Raises InvalidJson, or BodyTooLarge past `most` bytes."""
    found = bytearray()
    try:
        for part in _inflated(content, most):
            found += part
            if len(found) > most:
                raise _too_large(most)
    except zlib.error:
        raise InvalidJson("the body is not what its Content-Encoding says") from None
    return bytes(found)


def _inflated(content: bytes, most: int) -> Iterator[bytes]:
    """Member by member, a slice at a time: what is left after a member is copied, and that is of its slice alone."""
    member, members = zlib.decompressobj(EITHER), 1
    for start in range(0, len(content), SLICE_BYTES):
        left = content[start : start + SLICE_BYTES]
        while left:
            if member.eof:
                member, members = zlib.decompressobj(EITHER), members + 1
                if members > MOST_MEMBERS:
                    raise zlib.error("too many members")
            yield member.decompress(left, most + 1)
            left = member.unused_data
    if not member.eof:
        raise zlib.error("cut off")


async def _receive(request: Exchange, most: int) -> bytes:
    declared = request.fields.get("content-length", "")
    stream = request.stream()
    body = bytearray()
    size = int(declared[:20]) if declared.isdecimal() else 0
    if size <= most:
        _hold(request, size)
        async for chunk in stream:
            body += chunk
            if len(body) > most:
                break
            if len(body) > size:
                _hold(request, len(body))
        else:
            return bytes(body)
    if "expect" not in request.fields:  # a client that asks before it sends waits for the answer
        await _drop(stream, DROPPED_TIMES * most)
    raise _too_large(most)


async def _drop(stream: AsyncIterator[bytes], most: int) -> None:
    """Read on without keeping anything, within bounds."""
    dropped = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DROPPED_S):
            async for chunk in stream:
                dropped += len(chunk)
                if dropped > most:
                    return


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {most} bytes")
