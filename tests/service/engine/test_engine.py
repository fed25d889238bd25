"""Tests of the engine: how batches are formed, and how results return."""

import asyncio

import numpy as np
import pytest

from service.engine import scheduler
from service.engine.engine import Engine
from tests.service.engine.fakes import FakeItem, FakeModel
from tests.service.engine.requests import POOLED, make_items, occupy_engine, run_engine, submit


def test_results_come_back_in_the_requests_order(engine: Engine) -> None:
    async def scenario() -> None:
        results = await submit(engine, make_items(9, 2, 50, 2, 31)).wait()
        assert [result.output.tolist() for result in results] == [[n, n] for n in (9, 2, 50, 2, 31)]

    asyncio.run(scenario())


def test_batches_hold_neighbors_in_length_within_the_token_budget(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        waiting = [submit(engine, make_items(n)) for n in (40, 3, 45, 5, 39, 4)]
        model.gate.set()
        await asyncio.gather(first.wait(), *(ticket.wait() for ticket in waiting))

    asyncio.run(scenario())
    assert [sorted(batch) for batch in model.batches] == [[1], [39, 40], [3, 4, 5], [45]]
    assert all(sum(batch) <= 100 for batch in model.batches)


def test_client_with_many_items_does_not_starve_another(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        many, one = submit(engine, make_items(*[10] * 18)), submit(engine, make_items(20))
        model.gate.set()
        await asyncio.gather(first.wait(), many.wait(), one.wait())

    asyncio.run(scenario())
    assert [len(batch) for batch in model.batches] == [1, 10, 9]


def test_short_request_does_not_wait_for_a_long_one(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        model.gate.clear()
        long = submit(roomy, make_items(*[50] * 40))
        model.wait_for_run()
        hurried = submit(roomy, make_items(3))
        model.gate.set()
        await hurried.wait()
        assert len(await long.wait()) == 40
        assert next(i for i, lengths in enumerate(model.batches) if 3 in lengths) <= 4

    asyncio.run(scenario())
    assert len(model.batches) > 18


def test_attention_has_a_lane_of_its_own(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        plain, seen = submit(engine, make_items(4, 8)), submit(engine, make_items(4, 8), POOLED)
        model.gate.set()
        await asyncio.gather(first.wait(), plain.wait())
        for n, result in zip((4, 8), await seen.wait(), strict=True):
            assert result.attention is not None
            assert result.attention.values.tolist() == pytest.approx([1 / n] * n)

    asyncio.run(scenario())
    assert model.batches == [[1], [4, 8], [4, 8]]


def test_batch_has_the_machine_only_when_nothing_else_runs_or_waits(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "CONTENTION_WINDOW_S", 60.0)

    async def scenario(engine: Engine) -> None:
        await submit(engine, make_items(3)).wait()
        model.wait_for_run()
        first = occupy_engine(model, engine)
        others = [submit(engine, make_items(n)) for n in (4, 90)]
        model.gate.set()
        await asyncio.gather(first.wait(), *(other.wait() for other in others))

    for engine in run_engine(model, 1_000, concurrent_batches=2):
        asyncio.run(scenario(engine))
    assert model.exclusive[:2] == [True, True]
    assert not any(model.exclusive[2:])


def test_two_batches_are_in_flight(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        first = occupy_engine(model, engine)
        second = submit(engine, make_items(5))
        model.wait_for_run()  # the second began while the first was running
        model.gate.set()
        await asyncio.gather(first.wait(), second.wait())

    for engine in run_engine(model, 1_000, concurrent_batches=2):
        asyncio.run(scenario(engine))


def test_identical_items_that_wait_together_are_computed_once(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        same = FakeItem(np.arange(5), key=b"same")
        one, two = submit(engine, [same]), submit(engine, [same, *make_items(6), same])
        model.gate.set()
        await first.wait()
        (alone,) = await one.wait()
        results = await two.wait()
        assert [result.output.tolist() for result in results] == [[10, 5], [6, 6], [10, 5]]
        assert alone.output.tolist() == [10, 5]

    asyncio.run(scenario())
    assert sum(len(batch) for batch in model.batches) == 3


def test_embeddings_are_remembered_by_content_where_that_is_wanted(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        same = FakeItem(np.arange(5), key=b"same")
        before = await submit(engine, [same]).wait()
        after = await submit(engine, [same, *make_items(3)]).wait()
        only = await submit(engine, [same]).wait()
        for result in (after[0], only[0]):
            np.testing.assert_array_equal(result.output, before[0].output)

    for engine in run_engine(model, 1_000, cache_bytes=10_000):
        asyncio.run(scenario(engine))
    assert [len(batch) for batch in model.batches] == [1, 1]
