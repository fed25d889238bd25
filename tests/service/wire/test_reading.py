"""The clock of a connection stands still while the server does not read from it."""

import asyncio
from collections.abc import Iterator

import pytest

from service.wire.reading import Reading


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


def test_pauses_do_not_count_however_often_they_are_asked_for(loop: Loop) -> None:
    transport = Transport()
    reading = Reading(transport, loop)
    began = reading.clock()
    loop.now += 1
    for _ in range(2):
        reading.pause_reading()
        reading.pause_reading()
        loop.now += 10
        assert reading.clock() - began == pytest.approx(1), "it stands still"
        reading.resume_reading()
        reading.resume_reading()
    loop.now += 2
    assert reading.clock() - began == pytest.approx(3)
    assert transport.calls == ["pause", "resume"] * 2


def test_a_loop_that_was_held_up_does_not_count(loop: Loop) -> None:
    reading = Reading(Transport(), loop)
    began = reading.clock()
    loop.now += 5
    reading.held_up(4)
    assert reading.clock() - began == pytest.approx(1)
