"""Tests of admission: tokens, attention bytes, and the reserve for small requests."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from service.engine.engine import Engine
from service.errors import Overloaded
from tests.polling import WAIT_TIMEOUT_S
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import ALL_QUERIES, make_items, occupy_engine, submit


def test_full_queue_refuses_at_once_and_takes_again_when_drained(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        waiting = submit(engine, make_items(50, 50, 50, 50))
        with pytest.raises(Overloaded):
            submit(engine, make_items(11))
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())
        larger_than_the_queue = await submit(engine, make_items(*[50] * 9)).wait()
        assert len(larger_than_the_queue) == 9

    asyncio.run(scenario())


def test_overload_says_when_the_queue_will_have_drained(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        for _ in range(3):
            first = occupy_engine(model, roomy)
            await asyncio.sleep(0.1)  # a token in a tenth of a second
            model.gate.set()
            await first.wait()
        first = occupy_engine(model, roomy)
        waiting = submit(roomy, make_items(*[50] * 199))
        with pytest.raises(Overloaded) as refused:
            submit(roomy, make_items(99))
        assert refused.value.retry_after_s == 60, "the largest Retry-After"
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())

    asyncio.run(scenario())


def test_client_of_thousands_of_texts_does_not_shut_out_one_of_one(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, engine)
        bulk = submit(engine, make_items(*[50] * 100))  # 25 times the queue, taken for it was empty
        with pytest.raises(Overloaded):
            submit(engine, make_items(50))
        small = [submit(engine, make_items(n)) for n in (10, 10, 10, 10, 9)]  # a quarter of the queue is theirs alone
        with pytest.raises(Overloaded):
            submit(engine, make_items(10))
        with pytest.raises(Overloaded):
            engine.check_capacity("m", 1, tokens=1)
        model.gate.set()
        await asyncio.gather(first.wait(), bulk.wait(), *(one.wait() for one in small))
        assert max(one.ticket.finished_at for one in small) < bulk.ticket.finished_at
        await submit(engine, make_items(50)).wait()

    asyncio.run(scenario())


def test_capacity_is_checked_before_preprocessing(engine: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        engine.check_capacity("m", 1, tokens=10_000)  # nothing waits: of any size
        first = occupy_engine(model, engine)
        waiting = submit(engine, make_items(*[50] * 3))
        engine.check_capacity("m", 1, tokens=50)
        with pytest.raises(Overloaded):
            engine.check_capacity("m", 1, tokens=51)
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())

    asyncio.run(scenario())


def test_attention_is_charged_by_the_bytes_it_returns(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, roomy)
        waiting = submit(roomy, make_items(15), ALL_QUERIES)  # 900 of 1,000 bytes
        with pytest.raises(Overloaded, match="attention") as refused:
            submit(roomy, make_items(6), ALL_QUERIES)
        assert refused.value.retry_after_s >= 1
        with pytest.raises(Overloaded, match="queue is full"):
            submit(roomy, make_items(*[50] * 300))
        plain = submit(roomy, make_items(15))
        model.gate.set()
        await asyncio.gather(first.wait(), plain.wait(), waiting.wait())
        with pytest.raises(Overloaded, match="attention"):
            submit(roomy, make_items(6), ALL_QUERIES)
        roomy.on_response_sent(waiting.ticket)
        assert len(await submit(roomy, make_items(6), ALL_QUERIES).wait()) == 1, "what was sent is owed no more"

    asyncio.run(scenario())


def test_refused_attention_is_not_promised(roomy: Engine, model: FakeModel) -> None:
    async def scenario() -> None:
        first = occupy_engine(model, roomy)
        waiting = submit(roomy, make_items(15), ALL_QUERIES)  # 900 of 1,000 bytes
        with ThreadPoolExecutor(1) as threads:
            for _ in range(5):
                ticket = roomy.create_request(deadline=time.monotonic() + WAIT_TIMEOUT_S)
                submitting = partial(roomy.submit, ticket, "fake", make_items(15), ALL_QUERIES)
                roomy.submit_async(threads, ticket, submitting)
                with pytest.raises(Overloaded):
                    await roomy.results(ticket)
        model.gate.set()
        await asyncio.gather(first.wait(), waiting.wait())

    asyncio.run(scenario())
