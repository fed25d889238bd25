"""Tests of benchmark workloads and timing: a stalled server shows, and a wrong response fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import orjson
import pytest

from bench.open_loop import Request, open_loop
from bench.ort_baseline import BatchStrategy, _form_batches
from bench.workloads import WORD_RANGES, Workload, workload_images, workload_texts
from tests.bench.http_server import QuietHandler, run_http_server
from tests.service.engine.fakes import FakeItem, ids_of_length


@contextmanager
def run_stalling_server(status: int, stall_s: float = 0.0) -> Iterator[str]:
    """The URL of a server that answers everything with `status`; its tenth answer, and all due meanwhile, wait."""
    served = count(1)
    stalled_until = [0.0]

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802  # as http.server calls it
            self.rfile.read(int(self.headers["content-length"]))
            if next(served) == 10:
                stalled_until[0] = time.monotonic() + stall_s
            time.sleep(max(0.0, stalled_until[0] - time.monotonic()))
            self.respond(status, b"{}")

    with run_http_server(Handler) as url:
        yield url


def test_open_loop_counts_stall_in_latencies() -> None:
    with run_stalling_server(200, stall_s=0.5) as url:
        took = open_loop(url, [Request("any", b"{}")], rate=100, seconds=1, seed=0)["any"]
    assert 70 <= len(took) <= 130
    assert max(took) >= 400
    assert sum(ms > 50 for ms in took) >= 30, "about half of them were due while it stalled"


def test_open_loop_fails_on_error_status() -> None:
    with run_stalling_server(503) as url, pytest.raises(RuntimeError, match="503"):
        open_loop(url, [Request("any", b"{}")], rate=20, seconds=0.5, seed=0)


@pytest.mark.parametrize("kind", WORD_RANGES)
def test_texts_are_distinct_and_in_range(kind: str) -> None:
    texts = workload_texts(kind, 200)
    assert len(set(texts)) == 200
    assert all(WORD_RANGES[kind][0] <= len(text.split()) <= WORD_RANGES[kind][1] for text in texts)
    assert texts == workload_texts(kind, 200)


def test_workload_splits_inputs_into_requests() -> None:
    workload = Workload("any", "m", workload_texts("short", 70), inputs_per_request=32)
    bodies = [orjson.loads(body) for body in workload.bodies]
    assert [len(body["input"]) for body in bodies] == [32, 32]
    assert [text for body in bodies for text in body["input"]] == list(workload.inputs[:64])


def test_images_are_png_files() -> None:
    assert all(picture.startswith(b"\x89PNG") for picture in workload_images(2))


def test_window_is_batched_by_length() -> None:
    items = [FakeItem(ids_of_length(n)) for n in (5, 90, 7, 60, 3, 40, 41)]
    batches = _form_batches(items, BatchStrategy(max_tokens=100, concurrent_batches=2))
    assert [[item.num_tokens for item in batch] for batch, _ in batches] == [[90], [60], [41, 40, 7, 5, 3]]
    assert not any(alone for _, alone in batches)
