"""What the bench sends, and how it times: a stalled server must show, and a wrong answer must not pass."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import orjson
import pytest

from bench.bare import Way, _batches
from bench.openloop import Request, open_loop
from bench.workloads import WORDS, Workload, prose, scenes
from tests.bench.listening import Quiet, listening
from tests.service.engine.fakes import FakeItem, ones


@contextmanager
def answering(status: int, stalls_s: float = 0.0) -> Iterator[str]:
    """The URL of a server that answers everything with `status`; its tenth answer, and all due meanwhile, wait."""
    served = count(1)
    open_again = [0.0]

    class Handler(Quiet):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
            self.rfile.read(int(self.headers["content-length"]))
            if next(served) == 10:
                open_again[0] = time.monotonic() + stalls_s
            time.sleep(max(0.0, open_again[0] - time.monotonic()))
            self.answer(status, b"{}")

    with listening(Handler) as url:
        yield url


def test_a_stalled_server_shows_in_every_request_that_was_due_meanwhile() -> None:
    with answering(200, stalls_s=0.5) as url:
        took = open_loop(url, [Request("any", b"{}")], rate=100, seconds=1, seed=0)["any"]
    assert 70 <= len(took) <= 130
    assert max(took) >= 400
    assert sum(ms > 50 for ms in took) >= 30, "about half of them were due while it stalled"


def test_an_answer_that_is_not_200_fails_the_run() -> None:
    with answering(503) as url, pytest.raises(RuntimeError, match="503"):
        open_loop(url, [Request("any", b"{}")], rate=20, seconds=0.5, seed=0)


@pytest.mark.parametrize("kind", WORDS)
def test_prose_is_of_its_length_and_never_twice_the_same(kind: str) -> None:
    texts = prose(kind, 200)
    assert len(set(texts)) == 200
    assert all(WORDS[kind][0] <= len(text.split()) <= WORDS[kind][1] for text in texts)
    assert texts == prose(kind, 200)


def test_requests_hold_their_share_of_the_sources() -> None:
    workload = Workload("any", "m", prose("short", 70), per_request=32)
    bodies = [orjson.loads(body) for body in workload.bodies]
    assert [len(body["input"]) for body in bodies] == [32, 32]
    assert [text for body in bodies for text in body["input"]] == list(workload.sources[:64])


def test_pictures_are_pictures() -> None:
    assert all(picture.startswith(b"\x89PNG") for picture in scenes(2))


def test_a_window_is_batched_whole_by_length() -> None:
    items = [FakeItem(ones(n)) for n in (5, 90, 7, 60, 3, 40, 41)]
    batches = _batches(items, Way(tokens=100, side_by_side=2))
    assert [[item.positions for item in batch] for batch, _ in batches] == [[90], [60], [41, 40, 7, 5, 3]]
    assert not any(alone for _, alone in batches)
