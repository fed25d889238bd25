"""Large answers are written in pieces, and are what they would be at a stretch."""

import asyncio
import json

import numpy as np
import pytest

from service.routes import pieces


@pytest.mark.parametrize(
    "shape", [(3,), (1, 1), (40_000,), (7, 16_385), (2, 3, 100, 101), (3, 2, 200, 200), (1, 100_000)]
)
def test_arrays(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = pieces.dump({"values": asyncio.run(pieces.written(array))})
    assert found == pieces.dump({"values": array})


@pytest.mark.parametrize("count", [1, 32, 33, 1_000])
def test_entries(count: int) -> None:
    entries = [{"index": i, "embedding": np.full(4, i, dtype=np.float32)} for i in range(count)]
    found = pieces.dump({"data": asyncio.run(pieces.written(entries))})
    assert found == pieces.dump({"data": entries})
    assert json.loads(found)["data"][-1]["index"] == count - 1


def test_others_are_served_in_between() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def scenario() -> None:
        beside = asyncio.create_task(other())
        await pieces.written(np.zeros((6, 12, 100, 100), dtype=np.float32))
        beside.cancel()

    asyncio.run(scenario())
    assert turns >= 720_000 // pieces.PIECE_NUMBERS
