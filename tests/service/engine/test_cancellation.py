"""Tests of cancellation when a client disconnects."""

import asyncio
import gc
import weakref

import pytest
from starlette.requests import ClientDisconnect, Request

from service.engine.engine import Engine
from service.engine.items import EngineRequest, ItemOutput
from service.http.request import CancelOnDisconnect
from tests.polling import eventually
from tests.service.engine.fakes import FakeModel
from tests.service.engine.requests import make_items, occupy_engine, submit


@pytest.fixture(autouse=True)
def watched_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.request.POLL_AFTER_S", 0)


def from_client(*, leaves: bool) -> Request:
    async def receive() -> dict[str, str]:
        await asyncio.sleep(0.01 if leaves else 60)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


async def results(request: Request, engine: Engine, ticket: EngineRequest) -> list[ItemOutput]:
    async with CancelOnDisconnect(request):
        return await engine.results(ticket)


def test_recorded_request_is_freed_without_the_collector(model: FakeModel, engine: Engine) -> None:
    async def scenario() -> None:
        before = occupy_engine(model, engine)
        request, ticket = from_client(leaves=False), submit(engine, make_items(3)).ticket
        waiting = asyncio.create_task(results(request, engine, ticket))
        await asyncio.sleep(0.05)  # its client is watched by now
        model.gate.set()
        assert len(await waiting) == 1
        await before.wait()
        left = weakref.ref(request)
        gc.disable()
        try:
            del request, ticket, waiting
            assert await asyncio.to_thread(eventually, lambda: left() is None), "the watch ends on the loop"
        finally:
            gc.enable()

    asyncio.run(scenario())


def test_client_that_goes_takes_its_request_along(model: FakeModel, engine: Engine) -> None:
    async def scenario() -> None:
        before = occupy_engine(model, engine)
        ticket = submit(engine, make_items(3)).ticket
        with pytest.raises(ClientDisconnect):
            await results(from_client(leaves=True), engine, ticket)
        model.gate.set()
        await before.wait()

    asyncio.run(scenario())
    assert model.batches == [[1]]


def test_server_that_stops_is_no_client_that_goes(model: FakeModel, engine: Engine) -> None:
    async def scenario() -> None:
        before = occupy_engine(model, engine)
        waiting = asyncio.create_task(results(from_client(leaves=False), engine, submit(engine, make_items(3)).ticket))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        model.gate.set()
        await before.wait()

    asyncio.run(scenario())
