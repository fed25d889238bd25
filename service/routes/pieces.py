"""JSON of large answers, written a piece at a time: the event loop serves others in between.

Writing holds the interpreter, on whichever thread: 30 MB of attention as JSON is 100 MB and 0.7 s at a stretch.
"""

import asyncio
from collections.abc import Iterable, Sequence

import numpy as np
import orjson

from models.contract.arrays import Floats

PIECE_NUMBERS = 16_384
"""Numbers, or entries of about as much, that are written at a stretch: about 2 ms."""

ENTRY_NUMBERS = 512
"""What an entry of a list counts as: an embedding."""


def dump(content: object) -> bytes:
    """Strict JSON, with arrays as nested lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


async def written(content: Floats | Sequence[object]) -> object:
    """An array, or a list of entries, as something that `dump` writes in no time."""
    if isinstance(content, np.ndarray):
        return content if content.size <= PIECE_NUMBERS else await _array(content)
    if len(content) * ENTRY_NUMBERS <= PIECE_NUMBERS:
        return content
    step = PIECE_NUMBERS // ENTRY_NUMBERS
    return await _joined(dump(content[i : i + step])[1:-1] for i in range(0, len(content), step))


async def _array(array: Floats) -> orjson.Fragment:
    if array[0].size > PIECE_NUMBERS:
        return orjson.Fragment(dump([await _array(part) for part in array]))
    step = max(1, PIECE_NUMBERS // array[0].size)
    return await _joined(dump(array[i : i + step])[1:-1] for i in range(0, len(array), step))


async def _joined(parts: Iterable[bytes]) -> orjson.Fragment:
    found = []
    for part in parts:
        found.append(part)
        await asyncio.sleep(0)
    return orjson.Fragment(b"[" + b",".join(found) + b"]")
