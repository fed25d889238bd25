"""Tests of worker threads: their end, their errors, and batches that never end."""

import asyncio
from collections.abc import Callable

import pytest

from service.engine.engine import Engine
from service.errors import InferenceFailed, NotReady
from tests.polling import WAIT_TIMEOUT_S, eventually
from tests.service.engine.fakes import CRASHING_ID, FakeModel
from tests.service.engine.requests import make_items, occupy_engine, run_engine, submit


async def until(true: Callable[[], bool]) -> None:
    """The event loop goes on meanwhile."""
    assert await asyncio.to_thread(eventually, true)


def test_closing_finishes_what_is_queued_and_takes_no_more(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        waiting = submit(engine, make_items(3))
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await until(lambda: not engine.accepting)
        with pytest.raises(NotReady):
            submit(engine, make_items(3))
        model.gate.set()
        assert len(await first.wait()) == len(await waiting.wait()) == 1
        await closing
        assert not engine.alive

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_fault_in_the_thread_answers_every_request_and_shows(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        model.gate.clear()
        running = submit(engine, make_items(3, value=CRASHING_ID))
        model.wait_for_run()
        waiting = submit(engine, make_items(3))
        model.gate.set()
        for ticket in (running, waiting):
            with pytest.raises(NotReady):
                await asyncio.wait_for(ticket.wait(), WAIT_TIMEOUT_S)
        engine.close()
        assert not engine.alive
        with pytest.raises(NotReady):
            submit(engine, make_items(1))

    asyncio.run(scenario())


def test_stuck_batch_is_given_up_and_the_engine_goes_on(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        stuck = occupy_engine(model, engine)
        with pytest.raises(InferenceFailed, match="too long"):
            await asyncio.wait_for(stuck.wait(), WAIT_TIMEOUT_S)
        assert not engine.alive
        after = submit(engine, make_items(4))
        model.wait_for_run()  # another thread has taken over
        model.gate.set()
        assert len(await after.wait()) == 1
        await until(lambda: engine.alive)  # the stuck thread has come back
        assert len(await submit(engine, make_items(4)).wait()) == 1

    for engine in run_engine(model, 1_000, hung_after_s=1.0):
        asyncio.run(scenario(engine))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_engine_ends_when_every_replacement_thread_is_stuck(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        for _ in range(2):
            stuck = occupy_engine(model, engine)
            with pytest.raises((InferenceFailed, NotReady)):
                await asyncio.wait_for(stuck.wait(), WAIT_TIMEOUT_S)
        await until(lambda: not engine.accepting)
        assert not engine.alive
        model.gate.set()

    for engine in run_engine(model, 1_000, hung_after_s=0.2):
        asyncio.run(scenario(engine))
