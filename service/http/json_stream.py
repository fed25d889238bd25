"""Streaming serialization of JSON, in pieces: between them the event loop serves other requests.

A slow client causes backpressure: the next piece is serialized when the previous one is sent. Serializing holds the GIL
on any thread: 30 MB of attention is 100 MB of JSON and would take 0.7 s at once.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

from models.artifact.arrays import Floats, Ints

CHUNK_BYTES = 128 * 1024
"""Of JSON, that are written at a stretch: 1 to 2 ms."""

CHUNK_VALUES = 3 * 2**13
"""That are put into base64 at a stretch. Of threes of bytes, so that what comes of two such pieces can be joined."""

JSON_NUMBER_BYTES = 12
"""About what a float32 is in JSON."""

Number = TypeVar("Number", bound=np.generic)

_PLACEHOLDER = b"\0"
"""Where a part goes. In JSON there is no other: strings have it escaped."""


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
            raise TypeError  # orjson says of what
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
