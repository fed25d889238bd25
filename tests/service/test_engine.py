"""The engine around a fake model: batching, isolation, bounds, deadlines, and its end."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from service.engine import queue, workers
from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.engine.items import ItemResult, Ticket
from service.engine.lengths import BatchLimits
from service.engine.plan import AttentionPlan
from service.errors import DeadlineExceeded, InferenceFailed, InvalidInput, NotReady, Overloaded
from service.metrics import Metrics
from tests.service.engine_fakes import FAILS, FAULT, NOT_FINITE, FakeItem, FakeModel

POOLED = AttentionPlan(reduce="rollout", query="pool", layers=(), heads=(), prefix=0)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def engine(model: FakeModel) -> Iterator[Engine]:
    yield from running(model, max_queue_tokens=200)


@pytest.fixture
def roomy(model: FakeModel) -> Iterator[Engine]:
    yield from running(model, max_queue_tokens=10_000)


def running(model: FakeModel, max_queue_tokens: int, **options: float) -> Iterator[Engine]:
    limits = QueueLimits(max_queue_tokens, attention_bytes=1_000, small_tokens=10)
    batches = {"fake": BatchLimits(tokens=100, cells=10_000)}
    engine = Engine({"fake": model}, limits=limits, batches=batches, metrics=Metrics(), **options)  # type: ignore[arg-type]
    yield engine
    model.gate.set()
    engine.close()


def ids(*lengths: int, value: int = 1) -> list[FakeItem]:
    return [FakeItem(np.full(n, value, dtype=np.int64)) for n in lengths]


@dataclass
class Request:
    """A submitted request."""

    engine: Engine
    ticket: Ticket

    async def wait(self) -> list[ItemResult]:
        return await self.engine.results(self.ticket)


def submit(
    engine: Engine, items: list[FakeItem], attention: AttentionPlan | None = None, timeout_s: float = 10
) -> Request:
    ticket = engine.ticket(deadline=time.monotonic() + timeout_s)
    engine.submit(ticket, "fake", items, attention)
    return Request(engine, ticket)


def hold(model: FakeModel, engine: Engine) -> Request:
    """Occupy the engine with one item until the gate opens, so that what follows waits together."""
    model.gate.clear()
    request = submit(engine, ids(1))
    assert model.entered.acquire(timeout=10)
    return request


def test_results_come_back_in_the_requests_order(engine: Engine) -> None:
    async def scenario() -> None:
        results = await submit(engine, ids(9, 2, 50, 2, 31)).wait()
        assert [result.embedding.tolist() for result in results] == [[n, n] for n in (9, 2, 50, 2, 31)]

    asyncio.run(scenario())


def test_batches_hold_neighbours_in_length_within_the_token_budget(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        waiting = [submit(engine, ids(n)) for n in (40, 3, 45, 5, 39, 4)]
        model.gate.set()
        await asyncio.gather(first.wait(), *(ticket.wait() for ticket in waiting))

    asyncio.run(scenario())
    assert [sorted(batch) for batch in model.batches] == [[1], [39, 40], [3, 4, 5], [45]]
    assert all(sum(batch) <= 100 for batch in model.batches)


def test_one_client_with_many_items_does_not_starve_another(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        many, one = submit(engine, ids(*[10] * 18)), submit(engine, ids(20))
        model.gate.set()
        await asyncio.gather(first.wait(), many.wait(), one.wait())

    asyncio.run(scenario())
    assert [len(batch) for batch in model.batches] == [1, 10, 9]


def test_a_short_request_does_not_wait_for_a_long_one(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        model.gate.clear()
        long = submit(roomy, ids(*[50] * 40))
        assert model.entered.acquire(timeout=10)
        hurried = submit(roomy, ids(3))
        model.gate.set()
        await hurried.wait()
        assert len(await long.wait()) == 40
        assert next(i for i, lengths in enumerate(model.batches) if 3 in lengths) <= 4

    asyncio.run(scenario())
    assert len(model.batches) > 18


def test_attention_has_a_lane_of_its_own(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        plain, seen = submit(engine, ids(4, 8)), submit(engine, ids(4, 8), POOLED)
        model.gate.set()
        await asyncio.gather(first.wait(), plain.wait())
        for n, result in zip((4, 8), await seen.wait(), strict=True):
            assert result.attention is not None
            assert result.attention.tolist() == pytest.approx([1 / n] * n)

    asyncio.run(scenario())
    assert model.batches == [[1], [4, 8], [4, 8]]


@pytest.mark.parametrize("bad", [FAILS, NOT_FINITE])
def test_a_bad_item_costs_only_its_own_request(engine: Engine, model: FakeModel, bad: int) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        good, worse, good_too = submit(engine, ids(4, 4)), submit(engine, ids(4, value=bad)), submit(engine, ids(4))
        model.gate.set()
        await asyncio.gather(first.wait(), good.wait(), good_too.wait())
        with pytest.raises(InferenceFailed):
            await worse.wait()
        assert len(await submit(engine, ids(2)).wait()) == 1

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once_and_takes_again_when_drained(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        waiting = submit(engine, ids(50, 50, 50, 50))
        with pytest.raises(Overloaded):
            submit(engine, ids(11))
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())
        larger_than_the_queue = await submit(engine, ids(*[50] * 9)).wait()
        assert len(larger_than_the_queue) == 9

    asyncio.run(scenario())


def test_a_request_past_its_deadline_is_dropped_unexecuted(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        late = submit(engine, ids(7), timeout_s=0.01)
        await asyncio.sleep(0.05)
        model.gate.set()
        await first.wait()
        with pytest.raises(DeadlineExceeded):
            await late.wait()

    asyncio.run(scenario())
    assert model.batches == [[1]]


def test_a_request_that_has_begun_is_finished_past_its_deadline(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        model.gate.clear()
        slow = submit(engine, ids(*[60] * 5), timeout_s=0.2)
        assert model.entered.acquire(timeout=10)
        await asyncio.sleep(0.3)
        model.gate.set()
        assert len(await slow.wait()) == 5

    asyncio.run(scenario())


def test_a_cancelled_request_is_dropped_unexecuted(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        given_up = asyncio.create_task(submit(engine, ids(7)).wait())
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        model.gate.set()
        await first.wait()
        await submit(engine, ids(2)).wait()

    asyncio.run(scenario())
    assert model.batches == [[1], [2]]


def test_closing_finishes_what_is_queued_and_takes_no_more(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        waiting = submit(engine, ids(3))
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.05)
        with pytest.raises(NotReady):
            submit(engine, ids(3))
        model.gate.set()
        assert len(await first.wait()) == len(await waiting.wait()) == 1
        await closing
        assert not engine.alive

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_in_the_thread_answers_every_request_and_shows(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        model.gate.clear()
        running = submit(engine, ids(3, value=FAULT))
        assert model.entered.acquire(timeout=10)
        waiting = submit(engine, ids(3))
        model.gate.set()
        for ticket in (running, waiting):
            with pytest.raises(NotReady):
                await asyncio.wait_for(ticket.wait(), 5)
        engine.close()
        assert not engine.alive
        with pytest.raises(NotReady):
            submit(engine, ids(1))

    asyncio.run(scenario())


def test_attention_is_charged_by_the_bytes_it_returns(roomy: Engine, model: FakeModel) -> None:
    everyone = AttentionPlan(reduce="rollout", query="all", layers=(), heads=(), prefix=0)

    async def scenario() -> None:
        first = hold(model, roomy)
        waiting = submit(roomy, ids(15), everyone)  # 900 of 1,000 bytes
        with pytest.raises(Overloaded):
            submit(roomy, ids(6), everyone)
        plain = submit(roomy, ids(15))
        model.gate.set()
        await asyncio.gather(first.wait(), plain.wait(), waiting.wait())
        assert len(await submit(roomy, ids(6), everyone).wait()) == 1, "what was answered is owed no more"

    asyncio.run(scenario())


def test_identical_items_that_wait_together_are_computed_once(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        same = FakeItem(np.arange(5), key=b"same")
        one, two = submit(engine, [same]), submit(engine, [same, *ids(6), same])
        model.gate.set()
        await first.wait()
        (alone,) = await one.wait()
        results = await two.wait()
        assert [result.embedding.tolist() for result in results] == [[10, 5], [6, 6], [10, 5]]
        assert alone.embedding.tolist() == [10, 5]

    asyncio.run(scenario())
    assert sum(len(batch) for batch in model.batches) == 3


def test_a_failure_of_identical_items_fails_all_who_wait(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        bad = FakeItem(np.full(4, FAILS), key=b"same")
        waiting = [submit(engine, [bad]), submit(engine, [bad])]
        model.gate.set()
        await first.wait()
        for request in waiting:
            with pytest.raises(InferenceFailed):
                await request.wait()

    asyncio.run(scenario())


def test_a_batch_has_the_machine_only_when_nothing_else_runs_or_waits(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "COMPANY_S", 60.0)

    async def scenario(engine: Engine) -> None:
        await submit(engine, ids(3)).wait()
        assert model.entered.acquire(timeout=10)
        first = hold(model, engine)
        others = [submit(engine, ids(n)) for n in (4, 90)]
        model.gate.set()
        await asyncio.gather(first.wait(), *(other.wait() for other in others))

    for engine in running(model, 1_000, in_flight=2):
        asyncio.run(scenario(engine))
    assert model.alone[:2] == [True, True]
    assert not any(model.alone[2:])


def test_two_batches_are_in_flight(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        first = hold(model, engine)
        second = submit(engine, ids(5))
        assert model.entered.acquire(timeout=10), "the second began while the first was running"
        model.gate.set()
        await asyncio.gather(first.wait(), second.wait())

    for engine in running(model, 1_000, in_flight=2):
        asyncio.run(scenario(engine))


def test_a_stuck_batch_is_given_up_and_the_engine_goes_on(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        stuck = hold(model, engine)
        with pytest.raises(InferenceFailed, match="too long"):
            await asyncio.wait_for(stuck.wait(), 5)
        assert not engine.alive
        after = submit(engine, ids(4))
        assert model.entered.acquire(timeout=10), "another thread has taken over"
        model.gate.set()
        assert len(await after.wait()) == 1
        for _ in range(500):  # until the stuck thread has come back
            if engine.alive:
                break
            await asyncio.sleep(0.01)
        assert engine.alive
        assert len(await submit(engine, ids(4)).wait()) == 1

    for engine in running(model, 1_000, stuck_after_s=1.0):
        asyncio.run(asyncio.wait_for(scenario(engine), 20))


def test_embeddings_are_remembered_by_content_where_that_is_wanted(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        same = FakeItem(np.arange(5), key=b"same")
        before = await submit(engine, [same]).wait()
        after = await submit(engine, [same, *ids(3)]).wait()
        only = await submit(engine, [same]).wait()
        for result in (after[0], only[0]):
            np.testing.assert_array_equal(result.embedding, before[0].embedding)

    for engine in running(model, 1_000, cache_bytes=10_000):
        asyncio.run(scenario(engine))
    assert [len(batch) for batch in model.batches] == [1, 1]


def test_overload_says_when_the_queue_will_have_drained(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        for _ in range(3):
            first = hold(model, roomy)
            await asyncio.sleep(0.1)  # a token in a tenth of a second
            model.gate.set()
            await first.wait()
        first = hold(model, roomy)
        waiting = submit(roomy, ids(*[50] * 199))
        with pytest.raises(Overloaded) as refused:
            submit(roomy, ids(99))
        assert refused.value.retry_after_s == 60, "the longest that is told"
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())

    asyncio.run(scenario())


def test_what_a_preparing_thread_raises_is_the_requests_outcome(engine: Engine) -> None:
    def fail() -> None:
        raise InvalidInput("no")

    async def scenario() -> None:
        ticket = engine.ticket(deadline=time.monotonic() + 10)
        with ThreadPoolExecutor(1) as threads:
            engine.submit_from(threads, ticket, fail)
            with pytest.raises(InvalidInput):
                await asyncio.wait_for(engine.results(ticket), 5)

    asyncio.run(scenario())


def test_a_client_of_thousands_of_texts_does_not_shut_out_one_of_one(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        bulk = submit(engine, ids(*[50] * 100))  # 25 times the queue, taken for it was empty
        with pytest.raises(Overloaded):
            submit(engine, ids(50))
        small = [submit(engine, ids(n)) for n in (10, 10, 10, 10, 9)]  # a quarter of the queue is theirs alone
        with pytest.raises(Overloaded):
            submit(engine, ids(10))
        with pytest.raises(Overloaded):
            engine.check_room(1)
        model.gate.set()
        await asyncio.gather(first.wait(), *(one.wait() for one in small))
        assert not bulk.ticket.future.done()
        await bulk.wait()
        await submit(engine, ids(50)).wait()

    asyncio.run(scenario())


def test_refused_attention_is_not_promised(roomy: Engine, model: FakeModel) -> None:
    everyone = AttentionPlan(reduce="rollout", query="all", layers=(), heads=(), prefix=0)

    async def scenario() -> None:
        first = hold(model, roomy)
        waiting = submit(roomy, ids(15), everyone)  # 900 of 1,000 bytes
        with ThreadPoolExecutor(1) as threads:
            for _ in range(5):
                ticket = roomy.ticket(deadline=time.monotonic() + 10)
                submitting = partial(roomy.submit, ticket, "fake", ids(15), everyone)
                roomy.submit_from(threads, ticket, submitting)
                with pytest.raises(Overloaded):
                    await roomy.results(ticket)
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())

    asyncio.run(scenario())


def test_a_deadline_passes_while_every_thread_is_busy(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = hold(model, engine)
        with pytest.raises(DeadlineExceeded):
            await asyncio.wait_for(submit(engine, ids(7), timeout_s=0.1).wait(), 8)
        model.gate.set()
        await first.wait()

    asyncio.run(scenario())


def test_too_little_memory_costs_a_batch_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(workers, "shares", exhausted)
            with pytest.raises(InferenceFailed, match="memory"):
                await submit(engine, ids(3, 4)).wait()
        assert len(await submit(engine, ids(3)).wait()) == 1
        assert engine.alive

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_every_replacement_is_stuck_too_the_engine_ends(model: FakeModel) -> None:
    async def scenario(engine: Engine) -> None:
        for _ in range(2):
            stuck = hold(model, engine)
            with pytest.raises((InferenceFailed, NotReady)):
                await asyncio.wait_for(stuck.wait(), 8)
        for _ in range(300):
            if not engine.accepting:
                break
            await asyncio.sleep(0.01)
        assert not engine.accepting
        assert not engine.alive
        model.gate.set()

    for engine in running(model, 1_000, stuck_after_s=0.2):
        asyncio.run(scenario(engine))
