"""Large answers are sent while they are written, others are served in between, and who goes is no longer written to."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.types import Message

from service.http import pieces, responses
from service.http.pieces import Listed, Numbers

SMALL = np.zeros(100, dtype=np.float32)
LARGE = np.random.default_rng(0).random((12, 100, 200), dtype=np.float32)


class Exchange:
    """One request and the messages that answer it; `gone` after so many of them."""

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

    async def answer(self, content: object) -> None:
        response = await responses.in_pieces(content)
        await response(self.scope, self.receive, self.send)

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def exchange(content: object, **given: Any) -> Exchange:
    async def run() -> Exchange:
        found = Exchange(**given)
        await found.answer(content)
        return found

    return asyncio.run(run())


def test_a_small_answer_has_its_length_before_it() -> None:
    found = exchange({"values": Numbers(SMALL)})
    assert found.body == pieces.dump({"values": SMALL})
    assert found.headers[b"content-length"] == str(len(found.body)).encode()
    assert len(found.sent) == 2


def test_a_large_one_is_sent_in_pieces() -> None:
    found = exchange({"values": Numbers(LARGE)})
    assert found.body == pieces.dump({"values": LARGE})
    assert b"content-length" not in found.headers
    assert found.headers[b"content-type"] == b"application/json"
    assert len(found.sent) > len(found.body) / (3 * pieces.PIECE_BYTES) - responses.HELD_BYTES / pieces.PIECE_BYTES


def test_http_1_0_gets_it_whole() -> None:
    found = exchange({"values": Numbers(LARGE)}, http_version="1.0")
    assert found.body == pieces.dump({"values": LARGE})
    assert found.headers[b"content-length"] == str(len(found.body)).encode()


def test_to_who_has_gone_no_more_is_written() -> None:
    written = 0

    def entries() -> Iterator[Numbers]:
        nonlocal written
        for _ in range(1_000):
            written += 1
            yield Numbers(LARGE[0])

    exchange(Listed(entries()), gone_after=2)
    assert written < 100


@pytest.mark.parametrize("content", [Numbers(LARGE[:4]), Numbers(LARGE)], ids=["held", "sent"])
def test_others_are_served_while_it_is_written(content: Numbers) -> None:
    async def run() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        await Exchange().answer(content)
        beside.cancel()
        return turns

    assert asyncio.run(run()) >= len(b"".join(content.pieces())) / (3 * pieces.PIECE_BYTES)
