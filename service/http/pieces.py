"""JSON of large answers, written a piece at a time: the event loop serves others in between.

Writing holds the interpreter, on whichever thread: 30 MB of attention as JSON is 100 MB and 0.7 s at a stretch.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable

import orjson
from starlette.responses import Response

from models.contract.arrays import Floats, Ints

PIECE_BYTES = 128 * 1024
"""Of JSON, that are written at a stretch: 1 to 2 ms."""

PIECE_VALUES = 3 * 2**14
"""That are put into base64 at a stretch. Of threes of bytes, so that what comes of two such pieces can be joined."""

NUMBER_BYTES = 12
"""About what a float32 is in JSON."""


def dump(content: object) -> bytes:
    """Strict JSON, with arrays as nested lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def json(content: object) -> Response:
    """A JSON answer."""
    return Response(dump(content), media_type="application/json")


async def coded(values: Floats | Ints, dtype: str) -> orjson.Fragment:
    """The same as something that `dump` only copies; a large array a piece at a time, with others in between."""
    flat, parts = values.reshape(-1), []
    for start in range(0, len(flat), PIECE_VALUES):
        if start:
            await asyncio.sleep(0)
        parts.append(base64.b64encode(flat[start : start + PIECE_VALUES].astype(dtype).tobytes()))
    return orjson.Fragment(b'"%b"' % b"".join(parts))


def base64_of(values: Floats | Ints, dtype: str) -> str:
    """Little-endian bytes of `dtype`, in base64."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")


async def written(array: Floats | Ints) -> Floats | Ints | orjson.Fragment:
    """An array as something that `dump` only copies, unless it is small."""
    if array.size * NUMBER_BYTES <= PIECE_BYTES:
        return array
    row_bytes = array[0].size * NUMBER_BYTES
    if row_bytes > PIECE_BYTES:
        return orjson.Fragment(dump([await written(part) for part in array]))
    step = PIECE_BYTES // row_bytes
    parts = [array[i : i + step] for i in range(0, len(array), step)]
    return await _joined(_in_turn(dump(part)[1:-1] for part in parts))


async def listed(entries: AsyncIterator[object]) -> orjson.Fragment:
    """A list of entries, each written as it is made."""
    return await _joined(dump(entry) async for entry in entries)


async def _in_turn(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _joined(parts: AsyncIterator[bytes]) -> orjson.Fragment:
    found, since = [], 0
    async for part in parts:
        found.append(part)
        since += len(part)
        if since >= PIECE_BYTES:
            await asyncio.sleep(0)
            since = 0
    return orjson.Fragment(b"[" + b",".join(found) + b"]")
