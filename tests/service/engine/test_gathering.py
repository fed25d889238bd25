"""A batch that would be small waits a moment for those who were just answered, and for nobody else."""

import asyncio
import math
from collections.abc import Iterator

import pytest

from service.engine import gathering
from service.engine.engine import Engine
from service.engine.gathering import GAP_S, LONGEST_S, Gathering
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import Request, hold, ids, running, submit
from tests.waiting import PATIENCE_S

ENOUGH = 6


@pytest.mark.parametrize(
    ("tokens", "running", "handed_out", "stirred", "until"),
    [
        (ENOUGH, 1, 9.0, 9.0, -math.inf),
        (1, 0, 9.0, 9.0, -math.inf),
        (1, 1, 9.0, 8.0, 9.0 + GAP_S),
        (1, 1, 9.0, 9.0 + LONGEST_S / 2, 9.0 + LONGEST_S / 2 + GAP_S),
        (1, 1, 9.0, 9.0 + LONGEST_S, 9.0 + LONGEST_S),
        (1, 1, -math.inf, 9.0, -math.inf),
    ],
    ids=["enough", "little runs", "just handed out", "some came", "too long", "nobody was answered"],
)
def test_how_long(tokens: int, running: int, handed_out: float, stirred: float, until: float) -> None:
    assert Gathering(ENOUGH, busy=1, handed_out=handed_out, stirred=stirred).until(tokens, running) == until


@pytest.fixture
def patient(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Two batches at a time, and no end of waiting for those who were answered."""
    monkeypatch.setattr(gathering, "LONGEST_S", PATIENCE_S)
    monkeypatch.setattr(gathering, "GAP_S", PATIENCE_S)
    yield from running(model, max_queue_tokens=200, in_flight=2, gather_tokens=ENOUGH)


async def answered_and_held(engine: Engine, model: FakeModel) -> Request:
    """One batch has just been handed out, and another runs until the gate opens."""
    await submit(engine, ids(2)).wait()
    model.enter()
    return hold(model, engine)


def test_the_first_who_is_back_waits_for_the_second(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        first = submit(patient, ids(3))
        await asyncio.sleep(0.05)
        assert not model.entered.acquire(blocking=False)
        second = submit(patient, ids(4))
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), first.wait(), second.wait())

    asyncio.run(scenario())
    assert [3, 4] in [sorted(batch) for batch in model.batches]


def test_nobody_waits_when_nothing_else_runs(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        alone = submit(patient, ids(3))
        model.gate.set()
        await asyncio.wait_for(asyncio.gather(held.wait(), alone.wait()), PATIENCE_S / 2)

    asyncio.run(scenario())
    assert model.batches == [[2], [1], [3]]


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
        beside = submit(patient, ids(3))
        model.enter()
        model.gate.set()
        await asyncio.gather(held.wait(), beside.wait())

    asyncio.run(scenario())


def test_an_engine_that_closes_waits_for_nobody(patient: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        held = await answered_and_held(patient, model)
        beside = submit(patient, ids(3))
        closing = asyncio.create_task(asyncio.to_thread(patient.close))
        await asyncio.to_thread(model.enter)
        model.gate.set()
        await asyncio.gather(held.wait(), beside.wait(), closing)

    asyncio.run(scenario())
