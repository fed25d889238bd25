"""A batch that would be small waits a moment for those who were just answered, and for nobody else; and free threads
share what waits."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from service.engine import atwork, gathering
from service.engine.engine import Engine
from service.engine.gathering import GAP_S, LONGEST_S, Gathering
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import POOLED, Request, hold, ids, running, submit
from tests.waiting import PATIENCE_S

ENOUGH = 6
FOR_EVER_S = 10 * PATIENCE_S


NOW = 9.0
SOON = NOW + LONGEST_S / 2


@pytest.fixture
def gathers() -> Gathering:
    """Of two threads, of which one has just answered three requests."""
    found = Gathering(ENOUGH, threads=2)
    found.handed_out(3, NOW)
    return found


def test_until_nothing_stirs(gathers: Gathering) -> None:
    assert gathers.until(1, running=1) == NOW + GAP_S
    gathers.sent(SOON)
    assert gathers.until(1, running=1) == SOON + GAP_S
    gathers.came(SOON + GAP_S / 2)
    assert gathers.until(1, running=1) == SOON + GAP_S / 2 + GAP_S
    gathers.sent(NOW + LONGEST_S)
    assert gathers.until(1, running=1) == NOW + LONGEST_S


def test_not_for_what_is_enough_nor_while_little_runs(gathers: Gathering) -> None:
    assert gathers.until(ENOUGH, running=1) == -math.inf
    assert gathers.until(1, running=0) == -math.inf
    assert Gathering(ENOUGH, threads=4).until(1, running=2) == -math.inf


def test_until_all_who_were_answered_are_back(gathers: Gathering) -> None:
    for _ in range(2):
        gathers.came(NOW)
        assert gathers.until(1, running=1) > NOW
    gathers.came(NOW)
    assert gathers.until(1, running=1) == -math.inf


def test_those_of_two_batches_are_waited_for_together_but_not_those_of_long_ago(gathers: Gathering) -> None:
    gathers.handed_out(1, SOON)
    for _ in range(3):
        gathers.came(SOON)
    assert gathers.until(1, running=1) > SOON
    gathers.handed_out(0, SOON + LONGEST_S / 2)
    assert gathers.until(1, running=1) == SOON + GAP_S, "with nobody's answer nothing was handed out"
    gathers.handed_out(1, SOON + 2 * LONGEST_S)
    gathers.came(SOON + 2 * LONGEST_S)
    assert gathers.until(1, running=1) == -math.inf


def test_free_threads_share_what_is_enough_for_each() -> None:
    gathers = Gathering(ENOUGH, threads=2)
    assert gathers.most(10 * ENOUGH, running=0) == 5 * ENOUGH
    assert gathers.most(10 * ENOUGH, running=1) == math.inf
    assert gathers.most(2 * ENOUGH - 1, running=0) == math.inf
    assert Gathering(0, threads=2).most(100, running=0) == math.inf


@pytest.fixture
def patient(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Two batches at a time, and no end of waiting for those who were answered."""
    monkeypatch.setattr(gathering, "LONGEST_S", FOR_EVER_S)
    monkeypatch.setattr(gathering, "GAP_S", FOR_EVER_S)
    monkeypatch.setattr(atwork, "COMPANY_S", FOR_EVER_S)
    yield from running(model, max_queue_tokens=200, in_flight=2, gather_tokens=ENOUGH)


async def answered_and_held(engine: Engine, model: FakeModel) -> Request:
    """Four requests have just been answered, and one of them is back and runs until the gate opens."""
    first = hold(model, engine)
    second = submit(engine, ids(5))
    model.enter()
    others = [submit(engine, ids(2)), submit(engine, ids(4))]
    model.gate.set()
    await asyncio.gather(first.wait(), second.wait(), *(other.wait() for other in others))
    model.enter()
    return hold(model, engine)


def test_the_first_who_is_back_waits_for_the_second(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        first = submit(patient, ids(3), timeout_s=2 * FOR_EVER_S)
        await asyncio.sleep(0.05)
        assert not model.entered.acquire(blocking=False)
        second = submit(patient, ids(4))
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), first.wait(), second.wait())

    asyncio.run(scenario())
    assert [3, 4] in [sorted(batch) for batch in model.batches]


def test_all_who_are_back_wait_for_nobody(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        back = [submit(patient, ids(1), timeout_s=2 * FOR_EVER_S) for _ in range(3)]
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), *(request.wait() for request in back))

    asyncio.run(scenario())
    assert model.batches.count([1] * 3) + model.batches.count([1] * 2) == 1


def test_nobody_waits_past_a_deadline(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        hurried = submit(patient, ids(3))
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), hurried.wait())

    asyncio.run(scenario())


def test_two_free_threads_share_a_request(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        model.gate.set()
        await held.wait()
        model.gate.clear()
        large = submit(patient, ids(*[3] * 8))
        model.enter()
        model.enter()
        model.gate.set()
        await large.wait()

    asyncio.run(scenario())
    assert model.batches[-2:] == [[3] * 4, [3] * 4]


def test_nobody_waits_when_nothing_else_runs(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        alone = submit(patient, ids(3), timeout_s=2 * FOR_EVER_S)
        model.gate.set()
        await asyncio.wait_for(asyncio.gather(held.wait(), alone.wait()), PATIENCE_S / 2)

    asyncio.run(scenario())
    assert model.batches[-2:] == [[1], [3]]


def test_nobody_waits_where_nobody_was_answered(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held, beside = hold(model, patient), submit(patient, ids(3))
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), beside.wait())

    asyncio.run(scenario())


def test_waiting_ends_when_nobody_comes(patient: Engine, model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GAP_S", 0.05)

    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        beside = submit(patient, ids(3), timeout_s=2 * FOR_EVER_S)
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), beside.wait())

    asyncio.run(scenario())


def test_an_engine_that_closes_waits_for_nobody(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        beside = submit(patient, ids(3), timeout_s=2 * FOR_EVER_S)
        closing = asyncio.create_task(asyncio.to_thread(patient.close))
        await asyncio.to_thread(model.enter)
        model.gate.set()
        await asyncio.gather(held.wait(), beside.wait(), closing)

    asyncio.run(scenario())


def test_each_in_a_shared_batch_is_answered_with_what_it_asked_for(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first, second = hold(model, patient), submit(patient, ids(5))
        model.enter()
        plain, seen = submit(patient, ids(2)), submit(patient, ids(3), POOLED)
        model.gate.set()
        await asyncio.gather(first.wait(), second.wait())
        ((without,), (with_it,)) = await asyncio.gather(plain.wait(), seen.wait())
        assert (without.embedding.tolist(), without.attention) == ([2, 2], None)
        assert with_it.embedding.tolist() == [3, 3]
        assert with_it.attention
        assert with_it.attention.values.tolist() == pytest.approx([1 / 3] * 3)

    asyncio.run(scenario())
    assert [2, 3] in [sorted(batch) for batch in model.batches]
