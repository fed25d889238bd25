"""Large answers are written in pieces, and are what they would be at a stretch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import numpy as np
import pytest

from service.http import pieces

SHAPES = [(3,), (1, 1), (40_000,), (7, 16_385), (2, 3, 100, 101), (3, 2, 200, 200), (1, 100_000)]


async def listing(entries: list[object]) -> AsyncIterator[object]:
    for entry in entries:
        yield entry


def turns_of_others(work: Awaitable[object]) -> int:
    """How often something else ran on the event loop while `work` did."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def scenario() -> None:
        beside = asyncio.create_task(other())
        await work
        beside.cancel()

    asyncio.run(scenario())
    return turns


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = pieces.dump({"values": asyncio.run(pieces.written(array))})
    assert found == pieces.dump({"values": array})


@pytest.mark.parametrize("shape", [*SHAPES, (0,), (3, 2**15)])
@pytest.mark.parametrize("dtype", ["<f2", "<i4"])
def test_base64(shape: tuple[int, ...], dtype: str) -> None:
    array = 100 * np.random.default_rng(0).random(shape, dtype=np.float32)
    found = pieces.dump({"values": asyncio.run(pieces.coded(array, dtype))})
    assert found == pieces.dump({"values": pieces.base64_of(array, dtype)})


@pytest.mark.parametrize("count", [1, 32, 1_000])
def test_entries(count: int) -> None:
    entries: list[object] = [{"index": i, "embedding": np.full(400, i, dtype=np.float32)} for i in range(count)]
    found = pieces.dump({"data": asyncio.run(pieces.listed(listing(entries)))})
    assert found == pieces.dump({"data": entries})


def test_others_are_served_while_an_array_is_written() -> None:
    array = np.random.default_rng(0).random((6, 12, 100, 100), dtype=np.float32)
    assert turns_of_others(pieces.written(array)) >= len(pieces.dump(array)) / (3 * pieces.PIECE_BYTES)


@pytest.mark.parametrize("numbers", [0, 400, 10_000])
def test_others_are_served_while_entries_are_written(numbers: int) -> None:
    tokens = [{"text": "a", "start": i, "end": i + 1} for i in range(256)]
    entry = {"values": np.random.default_rng(0).random(numbers, dtype=np.float32), "tokens": tokens}
    whole = 200 * len(pieces.dump(entry))
    assert turns_of_others(pieces.listed(listing([entry] * 200))) >= whole / (3 * pieces.PIECE_BYTES)
