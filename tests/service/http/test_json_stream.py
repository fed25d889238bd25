"""Tests of streamed JSON: equal to JSON written at once, in short chunks."""

from collections.abc import Iterator

import numpy as np
import pytest

from service.http import responses
from service.http.responses import Base64Array, JsonArray, StreamedList

SHAPES = [(3,), (1, 1), (40_000,), (7, 16_385), (2, 3, 100, 101), (3, 2, 200, 200), (1, 100_000)]
MAX_CHUNK_BYTES = 3 * responses.CHUNK_BYTES
"""A piece is measured before it is written, by what a number is on average."""


def joined_json(content: object) -> bytes:
    return b"".join(responses.iter_json(content))


def max_chunk_bytes(content: object) -> int:
    return max(map(len, responses.iter_json(content)))


@pytest.mark.parametrize("shape", SHAPES)
def test_json_array_equals_orjson(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert joined_json({"values": JsonArray(array)}) == responses.dump({"values": array})


@pytest.mark.parametrize("shape", [*SHAPES, (0,), (3, 2**15)])
@pytest.mark.parametrize("dtype", ["<f2", "<i4"])
def test_base64_array_equals_b64encode(shape: tuple[int, ...], dtype: str) -> None:
    array = 100 * np.random.default_rng(0).random(shape, dtype=np.float32)
    found = joined_json({"values": Base64Array(array, lambda part: part.astype(dtype))})
    assert found == responses.dump({"values": responses.to_base64(array, dtype)})


@pytest.mark.parametrize("count", [0, 1, 32, 1_000])
def test_streamed_list_of_arrays(count: int) -> None:
    vectors = [np.full(400, i, dtype=np.float32) for i in range(count)]
    made = ({"index": i, "embedding": JsonArray(vector)} for i, vector in enumerate(vectors))
    expected = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    assert joined_json({"data": StreamedList(made), "after": 1}) == responses.dump({"data": expected, "after": 1})


def test_streamed_list_is_lazy() -> None:
    made: list[int] = []

    def entries() -> Iterator[int]:
        for i in range(3):
            made.append(i)
            yield i

    writing = responses.iter_json(StreamedList(entries()))
    while not made:
        next(writing)
    assert made == [0]


def test_nul_in_strings_is_not_a_placeholder() -> None:
    content = {"\0": "a\0b", "values": JsonArray(np.zeros(2, np.float32)), "after": "\0\0"}
    assert joined_json(content) == responses.dump({**content, "values": np.zeros(2, np.float32)})


def test_unserializable_value_raises_type_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        joined_json({"values": object()})


def test_array_chunks_are_bounded() -> None:
    array = np.random.default_rng(0).random((6, 12, 100, 100), dtype=np.float32)
    assert max_chunk_bytes(JsonArray(array)) <= MAX_CHUNK_BYTES
    assert max_chunk_bytes(Base64Array(array, np.copy)) <= MAX_CHUNK_BYTES


@pytest.mark.parametrize("numbers", [0, 400, 10_000])
def test_list_chunks_are_bounded(numbers: int) -> None:
    tokens = [{"text": "a", "start": i, "end": i + 1} for i in range(256)]
    values = np.random.default_rng(0).random(numbers, dtype=np.float32)
    assert (
        max_chunk_bytes(StreamedList({"values": JsonArray(values), "tokens": tokens} for _ in range(200)))
        <= MAX_CHUNK_BYTES
    )
