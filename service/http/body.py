"""Reading of request bodies: bounded while they arrive, decompressed, then parsed as strict JSON if expected."""

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import orjson

from service import limits
from service.errors import BodyTooLarge, InvalidJson, Overloaded, UnsupportedMediaType
from service.http import body_limits
from service.http.request import HttpRequest

JSON = "application/json"


MAX_INLINE_GZIP_BYTES = 4_096
"""Maximum gzip body decompressed on the event loop: at most 4 MB of zeros, 2 ms."""

MAX_DIAGNOSED_BYTES = 1_048_576
"""Size up to which a body with a lone surrogate is parsed again to name the field."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")

CHUNK_BYTES = 64 * 1024

ZLIB_AUTO_WBITS = 32 + zlib.MAX_WBITS  # detect gzip or zlib by the header


def media_type(request: HttpRequest) -> str:
    """Return the Content-Type in lower case, without parameters; a missing one is JSON."""
    return request.header_values.get("content-type", JSON).partition(";")[0].strip().lower() or JSON


async def read_body(request: HttpRequest) -> bytes:
    """Read and decompress the body; its bytes stay reserved until `release_body`.

    Raises UnsupportedMediaType, InvalidJson when decoding fails, BodyTooLarge, or Overloaded.
    """
    state = request.app_state
    max_bytes = state.settings.max_body_bytes
    coding = request.header_values.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaType("unsupported Content-Encoding; use gzip, deflate or identity")
    content = await _receive(request, max_bytes)
    if coding == "identity":
        return content
    if len(content) <= MAX_INLINE_GZIP_BYTES:
        inflated = inflate(content, max_bytes)
    else:
        # Not on the threads that decode images, where it could wait for seconds.
        inflated = await asyncio.to_thread(inflate, content, max_bytes)
    _reserve(request, len(inflated))
    return inflated


def release_body(request: HttpRequest) -> None:
    """Release the bytes reserved for the request's body."""
    _reserve(request, 0)


def _reserve(request: HttpRequest, size: int) -> None:
    """Set the bytes reserved for this request's body to `size`. Raises Overloaded."""
    state = request.app_state
    try:
        state.body_budget.resize(request.reserved_body_bytes, size, state.settings.max_body_bytes)
    except Overloaded:
        state.metrics.rejected.labels("overloaded", "").inc()
        raise
    request.reserved_body_bytes = size


def parse_json(body: bytes, max_containers: int = limits.MAX_JSON_CONTAINERS) -> object:
    """Parse strict JSON of at most `max_containers` lists and objects, within `json_limits`. Raises InvalidJson.

    NaN and Infinity literals, lone surrogates and numbers outside float64 are rejected.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    body_limits.check_json_limits(body, max_containers)
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid_json(body, error.pos) from None
    return parsed


def _invalid_json(body: bytes, position: int) -> InvalidJson:
    """Say what is wrong with the body: its encoding, a lone surrogate in a field, or its syntax."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return InvalidJson(f"the body is not UTF-8 (at byte {error.start})")
    if len(body) <= MAX_DIAGNOSED_BYTES and _SURROGATE_ESCAPE.search(text):
        with suppress(ValueError, RecursionError):
            if path := _surrogate_path(json.loads(text)):
                message = f"{path}: a lone surrogate, half of a character outside the basic plane such as an emoji"
                return InvalidJson(f"{message}; the text was probably cut there", path)
    return InvalidJson(f"the body is not valid JSON (at character {position})")


def _surrogate_path(value: object, path: str = "") -> str | None:
    """Return the path of the first string with a lone surrogate, or None."""
    if isinstance(value, str):
        return path if _SURROGATE.search(value) else None
    children = (
        ((f"{path}.{name}".removeprefix("."), child) for name, child in value.items())
        if isinstance(value, dict)
        else ((f"{path}[{i}]", child) for i, child in enumerate(value))
        if isinstance(value, list)
        else ()
    )
    return next((found for name, child in children if (found := _surrogate_path(child, name))), None)


def inflate(content: bytes, max_bytes: int) -> bytes:
    """Decompress gzip or deflate. Raises InvalidJson, or BodyTooLarge past `max_bytes` bytes."""
    inflated = bytearray()
    try:
        for chunk in _inflate_chunks(content, max_bytes):
            inflated += chunk
            if len(inflated) > max_bytes:
                raise _too_large(max_bytes)
    except zlib.error:
        raise InvalidJson("the body could not be decoded as its Content-Encoding") from None
    return bytes(inflated)


def _inflate_chunks(content: bytes, max_bytes: int) -> Iterator[bytes]:
    """Member by member, a slice at a time: what is left after a member is copied, and that is of its slice alone."""
    member, members = zlib.decompressobj(ZLIB_AUTO_WBITS), 1
    for start in range(0, len(content), CHUNK_BYTES):
        remaining = content[start : start + CHUNK_BYTES]
        while remaining:
            if member.eof:
                member, members = zlib.decompressobj(ZLIB_AUTO_WBITS), members + 1
                if members > limits.MAX_GZIP_MEMBERS:
                    raise zlib.error("too many members")
            yield member.decompress(remaining, max_bytes + 1)
            remaining = member.unused_data
    if not member.eof:
        raise zlib.error("cut off")


async def _receive(request: HttpRequest, max_bytes: int) -> bytes:
    declared = request.header_values.get("content-length", "")
    stream = request.stream()
    body = bytearray()
    size = int(declared[:20]) if declared.isdecimal() else 0
    if size <= max_bytes:
        _reserve(request, size)
        async for chunk in stream:
            body += chunk
            if len(body) > max_bytes:
                break
            if len(body) > size:
                _reserve(request, len(body))
        else:
            return bytes(body)
    if "expect" not in request.header_values:  # a client that sent Expect: 100-continue waits for the response
        await _discard(stream, limits.DISCARD_FACTOR * max_bytes)
    raise _too_large(max_bytes)


async def _discard(stream: AsyncIterator[bytes], max_bytes: int) -> None:
    """Read and discard the rest of the body, within bounds."""
    discarded_bytes = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.DISCARD_TIMEOUT_S):
            async for chunk in stream:
                discarded_bytes += len(chunk)
                if discarded_bytes > max_bytes:
                    return


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body exceeds {max_bytes} bytes")
