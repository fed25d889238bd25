"""Tests of slow clients: attention counts as reserved until the client has read it."""

import asyncio
from pathlib import Path

import orjson
from starlette.types import ASGIApp, Message, Scope

from service import limits
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import URL, VALID_BODY

RAW = {"reduce": "raw", "encoding": "base64"}


class SlowReader:
    """A request for raw attention, whose answer is read when `reading` is set."""

    def __init__(self, app: ASGIApp, reading: asyncio.Event) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._may_read = reading
        self.done = asyncio.create_task(self._run(app))
        self._body = [orjson.dumps({**VALID_BODY, "attention": RAW})]

    async def _run(self, app: ASGIApp) -> None:
        await app(self._scope(), self._receive, self._send)

    @staticmethod
    def _scope() -> Scope:
        headers = [(b"content-type", b"application/json")]
        return {
            "type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(), "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "client": None,
            "server": ("127.0.0.1", 80), "asgi": {"version": "3.0", "spec_version": "2.3"},
        }  # fmt: skip

    async def _receive(self) -> Message:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # it stays

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status.set_result(message["status"])
            if message["status"] == 200:
                await self._may_read.wait()


def test_unread_responses_count_as_outstanding(tiny: Path) -> None:
    async def scenario() -> None:
        app = create_app(Settings(models=(tiny,), max_attention_bytes=4_096))
        async with app.router.lifespan_context(app):
            reading = asyncio.Event()
            exchanges: list[SlowReader] = []
            while not exchanges or await exchanges[-1].status == 200:
                exchanges.append(SlowReader(app, reading))
            assert await exchanges[-1].status == 429
            assert len(exchanges) > limits.MAX_OUTSTANDING_ATTENTION_RESPONSES, "each is smaller than what one may be"
            reading.set()
            await asyncio.gather(*(exchange.done for exchange in exchanges))
            another = SlowReader(app, reading)
            assert await another.status == 200
            await another.done

    asyncio.run(scenario())
