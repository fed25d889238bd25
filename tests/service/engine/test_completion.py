"""Tests of requests that cannot get their results."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from service.engine import batch_executor, completion
from service.engine.engine import Engine
from service.errors import DeadlineExceeded, InferenceFailed, InvalidInput
from tests.polling import WAIT_TIMEOUT_S
from tests.service.engine.fakes import FAILING_ID, NAN_ID, FakeItem, FakeModel
from tests.service.engine.requests import make_items, occupy_engine, submit


@pytest.mark.parametrize("bad", [FAILING_ID, NAN_ID])
def test_bad_item_costs_only_its_own_request(engine: Engine, model: FakeModel, bad: int) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        good, worse, good_too = (
            submit(engine, make_items(4, 4)),
            submit(engine, make_items(4, value=bad)),
            submit(engine, make_items(4)),
        )
        model.gate.set()
        await asyncio.gather(first.wait(), good.wait(), good_too.wait())
        with pytest.raises(InferenceFailed):
            await worse.wait()
        assert len(await submit(engine, make_items(2)).wait()) == 1

    asyncio.run(scenario())


def test_failure_of_identical_items_fails_all_who_wait(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        bad = FakeItem(np.full(4, FAILING_ID), key=b"same")
        waiting = [submit(engine, [bad]), submit(engine, [bad])]
        model.gate.set()
        await first.wait()
        for request in waiting:
            with pytest.raises(InferenceFailed):
                await request.wait()

    asyncio.run(scenario())


def test_too_little_memory_costs_a_batch_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(batch_executor, "unbatch", exhausted)
            with pytest.raises(InferenceFailed, match="memory"):
                await submit(engine, make_items(3, 4)).wait()
        assert len(await submit(engine, make_items(3)).wait()) == 1
        assert engine.alive

    asyncio.run(scenario())


def test_preprocessing_error_is_the_requests_result(engine: Engine) -> None:
    def fail() -> None:
        raise InvalidInput("no")

    async def scenario() -> None:
        ticket = engine.create_request(deadline=time.monotonic() + WAIT_TIMEOUT_S)
        with ThreadPoolExecutor(1) as threads:
            engine.submit_async(threads, ticket, fail)
            with pytest.raises(InvalidInput):
                await asyncio.wait_for(engine.results(ticket), WAIT_TIMEOUT_S)

    asyncio.run(scenario())


def test_request_past_its_deadline_is_dropped_unexecuted(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        late = submit(engine, make_items(7), timeout_s=0.01)
        await asyncio.sleep(0.05)
        model.gate.set()
        await first.wait()
        with pytest.raises(DeadlineExceeded):
            await late.wait()

    asyncio.run(scenario())
    assert model.batches == [[1]]


def test_request_that_has_begun_is_finished_past_its_deadline(
    engine: Engine, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 2 * WAIT_TIMEOUT_S)

    async def scenario() -> None:
        model.gate.clear()
        slow = submit(engine, make_items(*[60] * 5))
        model.wait_for_run()
        monkeypatch.setattr(completion, "time", later)
        model.gate.set()
        assert len(await slow.wait()) == 5

    asyncio.run(scenario())


def test_deadline_passes_while_every_thread_is_busy(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        with pytest.raises(DeadlineExceeded):
            await asyncio.wait_for(submit(engine, make_items(7), timeout_s=0.1).wait(), WAIT_TIMEOUT_S)
        model.gate.set()
        await first.wait()

    asyncio.run(scenario())


def test_short_deadline_expires_in_time_while_all_threads_are_busy(
    engine: Engine, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.engine.engine.WATCHDOG_INTERVAL_S", 8.0)

    async def scenario() -> None:
        first = occupy_engine(model, engine)
        await asyncio.sleep(1.2)  # the watchdog finds no expired request and begins a long sleep
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await submit(engine, make_items(7), timeout_s=0.1).wait()
        assert 0.1 <= time.monotonic() - began < 4
        model.gate.set()
        await first.wait()

    asyncio.run(scenario())


def test_cancelled_request_is_dropped_unexecuted(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        given_up = asyncio.create_task(submit(engine, make_items(7)).wait())
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        model.gate.set()
        await first.wait()
        await submit(engine, make_items(2)).wait()

    asyncio.run(scenario())
    assert model.batches == [[1], [2]]


def test_requests_of_batch_complete_in_one_loop_callback(
    engine: Engine, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        waiting = [submit(engine, make_items(4)) for _ in range(5)]
        loop = asyncio.get_running_loop()
        callback = Mock(side_effect=loop.call_soon_threadsafe)
        monkeypatch.setattr(loop, "call_soon_threadsafe", callback)
        model.gate.set()
        await asyncio.gather(first.wait(), *(request.wait() for request in waiting))
        assert callback.call_count == len(model.batches) == 2

    asyncio.run(scenario())
