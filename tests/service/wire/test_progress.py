"""Where a connection stands, by the chunks that came."""

import pytest

from service.wire.progress import BODY, DONE, HEAD, SILENT, SLOWEST_BYTES_PER_S, Progress


def test_a_head_in_two_chunks() -> None:
    progress = Progress()
    assert progress.phase is SILENT
    progress.came(100)
    progress.look(1.0)
    progress.came(50)
    progress.look(2.0)
    assert (progress.phase, progress.since, progress.arrived, progress.whole_chunks) == (HEAD, 1.0, 150, 50)
    assert progress.allowed_s(10.0) == 10.0


def test_a_body_earns_time_by_what_came() -> None:
    progress = Progress()
    progress.came(100)
    progress.begin(BODY)
    progress.look(1.0)
    progress.came(2 * SLOWEST_BYTES_PER_S)
    progress.look(2.0)
    assert progress.since == 1.0
    assert progress.allowed_s(10.0) == pytest.approx(12.0, abs=0.01)


def test_bytes_that_are_no_body_are_counted_until_there_is_some() -> None:
    progress = Progress()
    progress.came(100)
    progress.begin(BODY)
    progress.look(1.0)
    for _ in range(3):
        progress.came(10)
        progress.look(1.0)
    assert progress.barren == 30
    progress.came(10)
    progress.fruitful = True
    progress.look(1.0)
    assert progress.barren == 0


def test_another_request_begins_anew() -> None:
    progress = Progress()
    progress.came(100)
    progress.look(1.0)
    progress.phase = DONE
    progress.came(7)
    progress.look(5.0)
    assert (progress.phase, progress.since, progress.arrived) == (HEAD, 5.0, 7)
