"""A batch that would be small waits a moment for those who were just answered, and for nobody else; and free threads
share what waits."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from service.engine import batch_delay, scheduler
from service.engine.batch_delay import IDLE_GAP_S, MAX_DELAY_S, BatchDelayPolicy
from service.engine.engine import Engine
from tests.polling import WAIT_TIMEOUT_S
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import POOLED, SubmittedRequest, make_items, occupy_engine, run_engine, submit

ENOUGH = 6
FOR_EVER_S = 10 * WAIT_TIMEOUT_S


NOW = 9.0
SOON = NOW + MAX_DELAY_S / 2


@pytest.fixture
def gathers() -> BatchDelayPolicy:
    """Of two threads, of which one has just answered three requests."""
    found = BatchDelayPolicy(ENOUGH, threads=2)
    found.on_batch_done(3, NOW)
    return found


def test_until_nothing_stirs(gathers: BatchDelayPolicy) -> None:
    assert gathers.deadline(1, running_batches=1) == NOW + IDLE_GAP_S
    gathers.on_response_sent(SOON)
    assert gathers.deadline(1, running_batches=1) == SOON + IDLE_GAP_S
    gathers.on_request(SOON + IDLE_GAP_S / 2)
    assert gathers.deadline(1, running_batches=1) == SOON + IDLE_GAP_S / 2 + IDLE_GAP_S
    gathers.on_response_sent(NOW + MAX_DELAY_S)
    assert gathers.deadline(1, running_batches=1) == NOW + MAX_DELAY_S


def test_batch_delay_skips_large_batches_and_idle_machines(gathers: BatchDelayPolicy) -> None:
    assert gathers.deadline(ENOUGH, running_batches=1) == -math.inf
    assert gathers.deadline(1, running_batches=0) == -math.inf
    assert BatchDelayPolicy(ENOUGH, threads=4).deadline(1, running_batches=2) == -math.inf


def test_until_all_who_were_answered_are_back(gathers: BatchDelayPolicy) -> None:
    for _ in range(2):
        gathers.on_request(NOW)
        assert gathers.deadline(1, running_batches=1) > NOW
    gathers.on_request(NOW)
    assert gathers.deadline(1, running_batches=1) == -math.inf


def test_batch_delay_expects_recent_clients_of_all_batches(gathers: BatchDelayPolicy) -> None:
    gathers.on_batch_done(1, SOON)
    for _ in range(3):
        gathers.on_request(SOON)
    assert gathers.deadline(1, running_batches=1) > SOON
    gathers.on_batch_done(0, SOON + MAX_DELAY_S / 2)
    assert gathers.deadline(1, running_batches=1) == SOON + IDLE_GAP_S, "with nobody's answer nothing was handed out"
    gathers.on_batch_done(1, SOON + 2 * MAX_DELAY_S)
    gathers.on_request(SOON + 2 * MAX_DELAY_S)
    assert gathers.deadline(1, running_batches=1) == -math.inf


def test_free_threads_share_what_is_enough_for_each() -> None:
    gathers = BatchDelayPolicy(ENOUGH, threads=2)
    assert gathers.fair_share(10 * ENOUGH, running_batches=0) == 5 * ENOUGH
    assert gathers.fair_share(10 * ENOUGH, running_batches=1) == math.inf
    assert gathers.fair_share(2 * ENOUGH - 1, running_batches=0) == math.inf
    assert BatchDelayPolicy(0, threads=2).fair_share(100, running_batches=0) == math.inf


@pytest.fixture
def patient(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Two batches at a time, and no end of waiting for those who were answered."""
    monkeypatch.setattr(batch_delay, "MAX_DELAY_S", FOR_EVER_S)
    monkeypatch.setattr(batch_delay, "IDLE_GAP_S", FOR_EVER_S)
    monkeypatch.setattr(scheduler, "CONTENTION_WINDOW_S", FOR_EVER_S)
    yield from run_engine(model, max_queue_tokens=200, concurrent_batches=2, preferred_batch_tokens=ENOUGH)


async def answered_and_held(engine: Engine, model: FakeModel) -> SubmittedRequest:
    """Four requests have just been answered, and one of them is back and runs until the gate opens."""
    first = occupy_engine(model, engine)
    second = submit(engine, make_items(5))
    model.wait_for_run()
    others = [submit(engine, make_items(2)), submit(engine, make_items(4))]
    model.gate.set()
    await asyncio.gather(first.wait(), second.wait(), *(other.wait() for other in others))
    model.wait_for_run()
    return occupy_engine(model, engine)


def test_first_who_is_back_waits_for_the_second(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        first = submit(patient, make_items(3), timeout_s=2 * FOR_EVER_S)
        await asyncio.sleep(0.05)
        assert not model.entered.acquire(blocking=False)
        second = submit(patient, make_items(4))
        model.wait_for_run()
        model.gate.set()
        await asyncio.gather(held.wait(), first.wait(), second.wait())

    asyncio.run(scenario())
    assert [3, 4] in [sorted(batch) for batch in model.batches]


def test_batch_delay_ends_when_all_clients_returned(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        back = [submit(patient, make_items(1), timeout_s=2 * FOR_EVER_S) for _ in range(3)]
        model.wait_for_run()
        model.gate.set()
        await asyncio.gather(held.wait(), *(request.wait() for request in back))

    asyncio.run(scenario())
    assert model.batches.count([1] * 3) + model.batches.count([1] * 2) == 1


def test_nobody_waits_past_a_deadline(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        hurried = submit(patient, make_items(3))
        model.wait_for_run()
        model.gate.set()
        await asyncio.gather(held.wait(), hurried.wait())

    asyncio.run(scenario())


def test_two_free_threads_share_a_request(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        model.gate.set()
        await held.wait()
        model.gate.clear()
        large = submit(patient, make_items(*[3] * 8))
        model.wait_for_run()
        model.wait_for_run()
        model.gate.set()
        await large.wait()

    asyncio.run(scenario())
    assert model.batches[-2:] == [[3] * 4, [3] * 4]


def test_nobody_waits_when_nothing_else_runs(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        alone = submit(patient, make_items(3), timeout_s=2 * FOR_EVER_S)
        model.gate.set()
        await asyncio.wait_for(asyncio.gather(held.wait(), alone.wait()), WAIT_TIMEOUT_S / 2)

    asyncio.run(scenario())
    assert model.batches[-2:] == [[1], [3]]


def test_nobody_waits_where_nobody_was_answered(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held, second_request = occupy_engine(model, patient), submit(patient, make_items(3))
        model.wait_for_run()
        model.gate.set()
        await asyncio.gather(held.wait(), second_request.wait())

    asyncio.run(scenario())


def test_waiting_ends_when_nobody_comes(patient: Engine, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_delay, "IDLE_GAP_S", 0.05)

    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        second_request = submit(patient, make_items(3), timeout_s=2 * FOR_EVER_S)
        model.wait_for_run()
        model.gate.set()
        await asyncio.gather(held.wait(), second_request.wait())

    asyncio.run(scenario())


def test_closing_engine_delays_no_batch(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        second_request = submit(patient, make_items(3), timeout_s=2 * FOR_EVER_S)
        closing = asyncio.create_task(asyncio.to_thread(patient.close))
        await asyncio.to_thread(model.wait_for_run)
        model.gate.set()
        await asyncio.gather(held.wait(), second_request.wait(), closing)

    asyncio.run(scenario())


def test_shared_batch_gives_each_request_its_outputs(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first, second = occupy_engine(model, patient), submit(patient, make_items(5))
        model.wait_for_run()
        plain, seen = submit(patient, make_items(2)), submit(patient, make_items(3), POOLED)
        model.gate.set()
        await asyncio.gather(first.wait(), second.wait())
        ((without,), (with_it,)) = await asyncio.gather(plain.wait(), seen.wait())
        assert (without.output.tolist(), without.attention) == ([2, 2], None)
        assert with_it.output.tolist() == [3, 3]
        assert with_it.attention
        assert with_it.attention.values.tolist() == pytest.approx([1 / 3] * 3)

    asyncio.run(scenario())
    assert [2, 3] in [sorted(batch) for batch in model.batches]
