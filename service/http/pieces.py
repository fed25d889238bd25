"""JSON as bytes that come a piece at a time: what takes the answer can serve others, or send, in between.

Writing holds the interpreter, on whichever thread: 30 MB of attention as JSON is 100 MB and 0.7 s at a stretch.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from models.contract.arrays import Floats, Ints

PIECE_BYTES = 128 * 1024
"""Of JSON, that are written at a stretch: 1 to 2 ms."""

PIECE_VALUES = 3 * 2**13
"""That are put into base64 at a stretch. Of threes of bytes, so that what comes of two such pieces can be joined."""

NUMBER_BYTES = 12
"""About what a float32 is in JSON."""

Number = TypeVar("Number", bound=np.generic)

_PLACE = b"\0"
"""Where a part goes. In JSON there is no other: strings have it escaped."""


class Part(ABC):
    """What content may hold in a value's place, to be written when its turn comes."""

    @abstractmethod
    def pieces(self) -> Iterator[bytes]:
        """The value's JSON, in order."""


class Numbers(Part):
    """An array, as nested lists."""

    def __init__(self, array: Floats | Ints) -> None:
        self._array = array

    def pieces(self) -> Iterator[bytes]:
        return _rows(self._array)


class Coded(Part):
    """An array, as base64 of the bytes that `convert` makes of its values, row by row."""

    def __init__(self, array: NDArray[Number], convert: Callable[[NDArray[Number]], NDArray[Any]]) -> None:
        self._flat = array.reshape(-1)
        self._convert = convert

    def pieces(self) -> Iterator[bytes]:
        yield b'"'
        for start in range(0, len(self._flat), PIECE_VALUES):
            yield base64.b64encode(self._convert(self._flat[start : start + PIECE_VALUES]).data)
        yield b'"'


class Listed(Part):
    """A list, whose entries may be made as they are written, and hold parts too."""

    def __init__(self, entries: Iterable[object]) -> None:
        self._entries = entries

    def pieces(self) -> Iterator[bytes]:
        yield b"["
        for i, entry in enumerate(self._entries):
            if i:
                yield b","
            yield from written(entry)
        yield b"]"


def dump(content: object) -> bytes:
    """Strict JSON at a stretch, with arrays as nested lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def written(content: object) -> Iterator[bytes]:
    """The same of content that holds parts."""
    parts: list[Part] = []

    def later(value: object) -> orjson.Fragment:
        if not isinstance(value, Part):
            raise TypeError  # orjson says of what
        parts.append(value)
        return orjson.Fragment(_PLACE)

    first, *others = orjson.dumps(content, later, orjson.OPT_SERIALIZE_NUMPY).split(_PLACE)
    yield first
    for part, after in zip(parts, others, strict=True):
        yield from part.pieces()
        yield after


def base64_of(values: Floats | Ints, dtype: str) -> str:
    """Little-endian bytes of `dtype`, in base64."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")


def _rows(array: Floats | Ints) -> Iterator[bytes]:
    if array.size * NUMBER_BYTES <= PIECE_BYTES:
        yield dump(array)
        return
    row_bytes = array[0].size * NUMBER_BYTES
    yield b"["
    if row_bytes > PIECE_BYTES:
        for i, row in enumerate(array):
            yield from ((b",", *_rows(row)) if i else _rows(row))
    else:
        step = PIECE_BYTES // row_bytes
        for i in range(0, len(array), step):
            yield (b"," if i else b"") + dump(array[i : i + step])[1:-1]
    yield b"]"
