"""Tests of load shedding: a full queue answers 429 with Retry-After at once and still accepts small requests."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import MINILM
from tests.polling import eventually
from tests.server import Server, serve

BULK = [
    f"The {i}th lamp warns ships of rocks that lie before the harbour, and the keeper sleeps." for i in range(2_000)
]
"""Several seconds of work: enough to be asked other things meanwhile, on a machine that has others to do too."""


@pytest.fixture(scope="module")
def narrow(minilm: Path) -> Iterator[Server]:
    """A server whose queue holds a fourteenth of that."""
    with serve(minilm, max_queue_tokens=2_000) as running:
        yield running


def ask(server: Server, texts: list[str]) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/embeddings", json={"model": MINILM, "input": texts}, timeout=300)


def waiting(server: Server) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("headlight_queue_size "))


def test_full_queue_sheds_large_requests_and_accepts_small(narrow: Server) -> None:
    assert ask(narrow, BULK[:30]).status_code == 200, "so that the server knows its own speed"
    answers: list[httpx.Response] = []
    bulk = threading.Thread(target=lambda: answers.append(ask(narrow, BULK)))
    bulk.start()
    assert eventually(lambda: waiting(narrow) >= 500)
    refused = ask(narrow, BULK[:100])
    small = ask(narrow, ["A lamp."])
    still_waiting = waiting(narrow)
    bulk.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert small.status_code == 200
    assert still_waiting > 0, "the small request was answered before the large one was done"
    assert answers[0].status_code == 200
    assert len(answers[0].json()["data"]) == len(BULK)
    assert (
        'headlight_rejected_total{model="all-MiniLM-L6-v2",reason="overloaded"} 100.0'
        in httpx.get(f"{narrow.url}/metrics").text
    )
