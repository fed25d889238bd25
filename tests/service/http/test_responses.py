"""Tests of large responses: streamed, interleaved with others, and stopped when the client disconnects."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.types import Message

from service.http import responses
from service.http.responses import JsonArray, StreamedList

SMALL = np.zeros(100, dtype=np.float32)
LARGE = np.random.default_rng(0).random((12, 100, 200), dtype=np.float32)


class FakeConnection:
    """A connection with one request that records the messages sent; the client is gone after `gone_after` of them."""

    def __init__(self, http_version: str = "1.1", gone_after: int | None = None) -> None:
        self.scope = {"type": "http", "http_version": http_version, "asgi": {"spec_version": "2.3"}}
        self.sent: list[Message] = []
        self._gone_after = gone_after
        self._gone = asyncio.Event()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) == self._gone_after:
            self._gone.set()

    async def send_json(self, content: object) -> None:
        response = await responses.streaming_json(content)
        await response(self.scope, self.receive, self.send)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def run_exchange(content: object, **given: Any) -> FakeConnection:
    async def run() -> FakeConnection:
        found = FakeConnection(**given)
        await found.send_json(content)
        return found

    return asyncio.run(run())


def test_small_response_has_content_length() -> None:
    found = run_exchange({"values": JsonArray(SMALL)})
    assert found.body == responses.dump({"values": SMALL})
    assert found.headers[b"content-length"] == str(len(found.body)).encode()
    assert len(found.sent) == 2


def test_large_response_is_streamed() -> None:
    found = run_exchange({"values": JsonArray(LARGE)})
    assert found.body == responses.dump({"values": LARGE})
    assert b"content-length" not in found.headers
    assert found.headers[b"content-type"] == b"application/json"
    assert (
        len(found.sent)
        > len(found.body) / (3 * responses.CHUNK_BYTES) - responses.MAX_BUFFERED_BYTES / responses.CHUNK_BYTES
    )


def test_http_1_0_response_is_buffered() -> None:
    found = run_exchange({"values": JsonArray(LARGE)}, http_version="1.0")
    assert found.body == responses.dump({"values": LARGE})
    assert found.headers[b"content-length"] == str(len(found.body)).encode()


def test_streaming_stops_on_disconnect() -> None:
    written = 0

    def entries() -> Iterator[JsonArray]:
        nonlocal written
        for _ in range(1_000):
            written += 1
            yield JsonArray(LARGE[0])

    run_exchange(StreamedList(entries()), gone_after=2)
    assert written < 100


@pytest.mark.parametrize("content", [JsonArray(LARGE[:4]), JsonArray(LARGE)], ids=["held", "sent"])
def test_streaming_yields_to_other_tasks(content: JsonArray) -> None:
    async def run() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        background = asyncio.create_task(other())
        await FakeConnection().send_json(content)
        background.cancel()
        return turns

    assert asyncio.run(run()) >= len(b"".join(content.iter_json())) / (3 * responses.CHUNK_BYTES)
