"""JSON that is written in pieces is what it would be at a stretch, and no piece is long."""

from collections.abc import Iterator

import numpy as np
import pytest

from service.http import pieces
from service.http.pieces import Coded, Listed, Numbers

SHAPES = [(3,), (1, 1), (40_000,), (7, 16_385), (2, 3, 100, 101), (3, 2, 200, 200), (1, 100_000)]
LONGEST = 3 * pieces.PIECE_BYTES
"""A piece is measured before it is written, by what a number is on average."""


def joined(content: object) -> bytes:
    return b"".join(pieces.written(content))


def longest(content: object) -> int:
    return max(map(len, pieces.written(content)))


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert joined({"values": Numbers(array)}) == pieces.dump({"values": array})


@pytest.mark.parametrize("shape", [*SHAPES, (0,), (3, 2**15)])
@pytest.mark.parametrize("dtype", ["<f2", "<i4"])
def test_base64(shape: tuple[int, ...], dtype: str) -> None:
    array = 100 * np.random.default_rng(0).random(shape, dtype=np.float32)
    found = joined({"values": Coded(array, lambda part: part.astype(dtype))})
    assert found == pieces.dump({"values": pieces.base64_of(array, dtype)})


@pytest.mark.parametrize("count", [0, 1, 32, 1_000])
def test_entries_with_arrays_in_them(count: int) -> None:
    vectors = [np.full(400, i, dtype=np.float32) for i in range(count)]
    made = ({"index": i, "embedding": Numbers(vector)} for i, vector in enumerate(vectors))
    expected = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    assert joined({"data": Listed(made), "after": 1}) == pieces.dump({"data": expected, "after": 1})


def test_entries_are_made_when_their_turn_comes() -> None:
    made: list[int] = []

    def entries() -> Iterator[int]:
        for i in range(3):
            made.append(i)
            yield i

    writing = pieces.written(Listed(entries()))
    while not made:
        next(writing)
    assert made == [0]


def test_strings_are_no_parts_places() -> None:
    content = {"\0": "a\0b", "values": Numbers(np.zeros(2, np.float32)), "after": "\0\0"}
    assert joined(content) == pieces.dump({**content, "values": np.zeros(2, np.float32)})


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        joined({"values": object()})


def test_no_piece_of_an_array_is_long() -> None:
    array = np.random.default_rng(0).random((6, 12, 100, 100), dtype=np.float32)
    assert longest(Numbers(array)) <= LONGEST
    assert longest(Coded(array, np.copy)) <= LONGEST


@pytest.mark.parametrize("numbers", [0, 400, 10_000])
def test_no_piece_of_a_list_is_long(numbers: int) -> None:
    tokens = [{"text": "a", "start": i, "end": i + 1} for i in range(256)]
    values = np.random.default_rng(0).random(numbers, dtype=np.float32)
    assert longest(Listed({"values": Numbers(values), "tokens": tokens} for _ in range(200))) <= LONGEST
