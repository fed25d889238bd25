"""Tests of a connection's progress, by the chunks received."""

import pytest

from service import limits
from service.http.read_timeout import COMPLETE, IDLE_NEW, READING_BODY, READING_HEADERS, RequestProgress


def test_headers_in_two_chunks() -> None:
    progress = RequestProgress()
    assert progress.state is IDLE_NEW
    progress.on_bytes(100)
    progress.mark_incomplete(1.0)
    progress.on_bytes(50)
    progress.mark_incomplete(2.0)
    assert (progress.state, progress.since, progress.received_bytes, progress.bytes_in_state) == (
        READING_HEADERS,
        1.0,
        150,
        50,
    )
    assert progress.allowed_s(10.0) == 10.0


def test_body_timeout_grows_with_received_bytes() -> None:
    progress = RequestProgress()
    progress.on_bytes(100)
    progress.enter(READING_BODY)
    progress.mark_incomplete(1.0)
    progress.on_bytes(2 * limits.MIN_BODY_BYTES_PER_S)
    progress.mark_incomplete(2.0)
    assert progress.since == 1.0
    assert progress.allowed_s(10.0) == pytest.approx(12.0, abs=0.01)


def test_framing_bytes_are_counted_until_body() -> None:
    progress = RequestProgress()
    progress.on_bytes(100)
    progress.enter(READING_BODY)
    progress.mark_incomplete(1.0)
    for _ in range(3):
        progress.on_bytes(10)
        progress.mark_incomplete(1.0)
    assert progress.framing_bytes == 30
    progress.on_bytes(10)
    progress.chunk_had_body = True
    progress.mark_incomplete(1.0)
    assert progress.framing_bytes == 0


def test_next_request_resets_progress() -> None:
    progress = RequestProgress()
    progress.on_bytes(100)
    progress.mark_incomplete(1.0)
    progress.state = COMPLETE
    progress.on_bytes(7)
    progress.mark_incomplete(5.0)
    assert (progress.state, progress.since, progress.received_bytes) == (READING_HEADERS, 5.0, 7)
