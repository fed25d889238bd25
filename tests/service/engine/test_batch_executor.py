"""Tests of failed batches: how often they run again, and what happens if no item is at fault."""

import asyncio
import logging

import pytest

from service.engine.engine import Engine
from service.errors import InferenceFailed, NotReady
from tests.service.engine.fakes import FAILING_ID, FakeModel
from tests.service.engine.requests import make_items, occupy_engine, submit


def test_bad_item_among_many_costs_few_runs_and_one_traceback(
    engine: Engine, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        good = [submit(engine, make_items(1)) for _ in range(63)]
        bad = submit(engine, make_items(1, value=FAILING_ID))
        model.gate.set()
        await asyncio.gather(first.wait(), *(request.wait() for request in good))
        with pytest.raises(InferenceFailed):
            await bad.wait()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert len(model.batches[1]) == 64
    assert len(model.batches[1:]) == 1 + 2 * 6, "halved six times, and each half is run"
    assert [record.message for record in caplog.records] == ["inference failed: model=fake batch_size=64"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_model_that_runs_nothing_any_more_ends_the_engine(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        waiting = [submit(engine, make_items(1)) for _ in range(64)]
        model.always_fails = True
        model.gate.set()
        with pytest.raises(InferenceFailed):
            await first.wait()
        for request in waiting:
            with pytest.raises(NotReady):
                await asyncio.wait_for(request.wait(), 5)
        assert not engine.alive
        assert not engine.accepting

    asyncio.run(scenario())
    assert len(model.batches) <= 4, "nothing is run again that cannot run"


def test_bad_items_in_a_row_are_no_fault_of_the_model(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        for _ in range(8):
            with pytest.raises(InferenceFailed):
                await submit(engine, make_items(3, value=FAILING_ID)).wait()
        assert engine.alive
        assert len(await submit(engine, make_items(2)).wait()) == 1

    asyncio.run(scenario())
