"""Tests of flow control: a connection's timeout stops while the server does not read."""

import asyncio
from collections.abc import Iterator

import pytest

from service.http.read_timeout import TimedFlowControl


class Loop(asyncio.BaseEventLoop):
    now = 100.0

    def time(self) -> float:
        return self.now


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_paused_reading_stops_the_clock(loop: Loop) -> None:
    transport = Transport()
    reading = TimedFlowControl(transport, loop)
    began = reading.reading_time()
    loop.now += 1
    for _ in range(2):
        reading.pause_reading()
        reading.pause_reading()
        loop.now += 10
        assert reading.reading_time() - began == pytest.approx(1), "it stands still"
        reading.resume_reading()
        reading.resume_reading()
    loop.now += 2
    assert reading.reading_time() - began == pytest.approx(3)
    assert transport.calls == ["pause", "resume"] * 2


def test_event_loop_stall_stops_the_clock(loop: Loop) -> None:
    reading = TimedFlowControl(Transport(), loop)
    began = reading.reading_time()
    loop.now += 5
    reading.add_stall(4)
    assert reading.reading_time() - began == pytest.approx(1)
