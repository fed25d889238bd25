"""Tests of token embeddings: which requests get them, with which other outputs, and how their bytes are counted."""

import asyncio
from typing import cast

import numpy as np
import pytest

from models.artifact import tensors
from service.engine.batch_executor import unbatch
from service.engine.engine import Engine
from service.engine.items import BatchKey, EngineRequest, QueueItem, Waiter
from service.errors import InferenceFailed, Overloaded
from tests.service.engine.fakes import NAN_ID, FakeItem, FakeModel
from tests.service.engine.requests import ALL_QUERIES, POOLED, VECTORS, make_items, occupy_engine, run_engine, submit


def test_token_embeddings_have_one_vector_per_position(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        asked = submit(engine, [FakeItem(np.arange(5)), FakeItem(np.arange(3) + 7)], vectors=VECTORS)
        model.gate.set()
        long, short = await asked.wait()
        assert (await first.wait())[0].token_embeddings is None
        assert long.token_embeddings is not None
        assert short.token_embeddings is not None
        assert long.token_embeddings.tolist() == [[i, 1] for i in range(5)]
        assert short.token_embeddings.tolist() == [[7, 1], [8, 1], [9, 1]]
        np.testing.assert_array_equal(short.token_embeddings.sum(axis=0), short.output)
        assert short.token_embeddings.base is None, "a view would keep the batch alive"
        assert short.attention is None

    asyncio.run(scenario())
    assert model.batches[1] == [5, 3]


def test_requests_without_token_embeddings_get_none_and_batch_separately(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        same = FakeItem(np.arange(4), key=b"same")
        asked = [submit(engine, [same], plan, vectors=v) for plan in (None, POOLED) for v in (None, VECTORS)]
        model.gate.set()
        await first.wait()
        found = [(await one.wait())[0] for one in asked]
        assert [result.token_embeddings is not None for result in found] == [False, True, False, True]
        assert [result.attention is not None for result in found] == [False, False, True, True]

    asyncio.run(scenario())
    assert model.batches == [[1], [4], [4], [4], [4]]


def test_identical_items_are_computed_once(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        same = FakeItem(np.arange(4), key=b"same")
        asked = [submit(engine, [same, same], vectors=VECTORS) for _ in range(2)]
        model.gate.set()
        await first.wait()
        for one in asked:
            for result in await one.wait():
                assert result.token_embeddings is not None
                assert len(result.token_embeddings) == 4

    asyncio.run(scenario())
    assert model.batches == [[1], [4]]


def test_remembered_embeddings_have_no_vectors(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        same = FakeItem(np.arange(5), key=b"same")
        await submit(engine, [same]).wait()
        (seen,) = await submit(engine, [same], vectors=VECTORS).wait()
        assert seen.token_embeddings is not None
        (after,) = await submit(engine, [same]).wait()
        assert after.token_embeddings is None

    for engine in run_engine(model, 1_000, cache_bytes=10_000):
        asyncio.run(scenario(engine))
    assert model.batches == [[5], [5]]


def test_vectors_are_charged_with_attention_by_the_bytes_they_return(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, roomy)
        waiting = submit(roomy, make_items(50, 50), vectors=VECTORS)  # 800 of 1,000 bytes
        for attention, vectors in ((ALL_QUERIES, None), (None, VECTORS), (POOLED, VECTORS)):
            with pytest.raises(Overloaded):
                submit(roomy, make_items(26), attention, vectors=vectors)
        plain, fits = submit(roomy, make_items(26)), submit(roomy, make_items(10), POOLED, vectors=VECTORS)
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait(), plain.wait(), fits.wait())
        for answered in (waiting, fits):
            roomy.on_response_sent(answered.ticket)
        assert len(await submit(roomy, make_items(100), vectors=VECTORS).wait()) == 1, "what was sent is owed no more"

    asyncio.run(scenario())


def test_bad_item_costs_only_its_own_request(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        good, bad = (submit(engine, make_items(4, value=value), vectors=VECTORS) for value in (1, NAN_ID))
        model.gate.set()
        await asyncio.gather(first.wait(), good.wait())
        with pytest.raises(InferenceFailed):
            await bad.wait()

    asyncio.run(scenario())


def test_value_that_is_not_finite_fails_its_own_item_alone() -> None:
    lane = BatchKey("fake", (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS))
    items = [QueueItem(lane, item, [Waiter(cast("EngineRequest", None), 0, None)]) for item in make_items(3, 2, 2)]
    rows = np.zeros((3, 3, 2), np.float32)
    rows[1, 1] = np.nan
    rows[2, 2] = np.nan  # past the length of the third, where nobody reads
    first, second, third = unbatch(
        FakeModel(), items, {tensors.OUTPUT: np.zeros((3, 2), np.float32), tensors.TOKEN_EMBEDDINGS: rows}
    )
    assert isinstance(second, InferenceFailed)
    assert isinstance(first, list)
    assert isinstance(third, list)


def test_batches_of_vectors_are_as_large_as_plain_ones() -> None:
    vectors = BatchKey("fake", (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS))
    assert (vectors.output_only, vectors.needs_attention) == (False, False)
    seen = BatchKey("fake", (*vectors.outputs, tensors.pooled_reduction("rollout")))
    assert (seen.output_only, seen.needs_attention) == (False, True)
