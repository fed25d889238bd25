"""All requests' bodies together are bounded: past that a large one is refused before it is read, a small one taken."""

import gzip
import json
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service.bodies import LARGEST, SMALL_BYTES, SMALL_SHARE, Bodies
from service.errors import Overloaded
from service.state import State
from tests.raw import Connection
from tests.server import serve
from tests.service.conftest import GOOD, URL, Serving
from tests.waiting import eventually

MOST = 1_000_000


def test_one_of_the_largest_is_always_taken_and_many_are_not() -> None:
    bodies = Bodies()
    for _ in range(LARGEST):
        bodies.change(0, MOST, MOST)
    with pytest.raises(Overloaded):
        bodies.change(0, SMALL_BYTES + 1, MOST)
    bodies.change(MOST, 0, MOST)
    bodies.change(0, MOST, MOST)
    bodies = Bodies()
    bodies.change(0, 100 * MOST, MOST)


def test_small_ones_have_a_share_of_their_own() -> None:
    bodies = Bodies()
    bodies.change(0, LARGEST * MOST, MOST)
    count = LARGEST * MOST // SMALL_SHARE // SMALL_BYTES
    for _ in range(count):
        bodies.change(0, SMALL_BYTES, MOST)
    with pytest.raises(Overloaded):
        bodies.change(0, SMALL_BYTES, MOST)
    with pytest.raises(Overloaded):
        bodies.change(SMALL_BYTES, SMALL_BYTES + 1, MOST)  # as it arrives it turns out to be large
    bodies.change(SMALL_BYTES, 0, MOST)
    bodies.change(0, SMALL_BYTES, MOST)
    with pytest.raises(Overloaded):
        bodies.change(0, SMALL_BYTES, MOST)


def large(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode() + b" " * 500_000


def test_nothing_is_held_of_what_is_answered(serving: Serving) -> None:
    with serving(max_body_bytes=MOST) as client:
        state: State = client.app.state.headlight  # type: ignore[attr-defined]
        held = state.bodies._held
        for body, headers, status in (
            (large(), {}, 200),
            (gzip.compress(large()), {"Content-Encoding": "gzip"}, 200),
            (gzip.compress(large()), {"Content-Encoding": "br"}, 415),
            (gzip.compress(large() * 3), {"Content-Encoding": "gzip"}, 413),
            (large() * 3, {}, 413),
            (large(model="other"), {}, 404),
            (b"[" * 200, {}, 400),
        ):
            chunks = iter([body[:100_000], body[100_000:]])
            assert client.post(URL, content=body, headers=headers).status_code == status
            assert client.post(URL, content=chunks, headers=headers).status_code == status
            assert held == {False: 0, True: 0}


def test_what_inflates_counts_as_it_is(serving: Serving) -> None:
    with serving(max_body_bytes=MOST) as client:
        state: State = client.app.state.headlight  # type: ignore[attr-defined]
        state.bodies.change(0, LARGEST * MOST, MOST)
        body = gzip.compress(large())
        assert len(body) < SMALL_BYTES
        answer = client.post(URL, content=body, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")


def test_what_is_declared_counts_before_it_is_sent(tiny: Path) -> None:
    head = f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: {MOST}\r\n\r\n".encode()
    with serve(tiny, max_body_bytes=MOST) as server, ExitStack() as others:
        for _ in range(LARGEST):
            slow = others.enter_context(Connection(server.url))
            slow.send(head + b"{")
        httpx.get(f"{server.url}/livez")  # in its turn, after those
        with Connection(server.url) as one_more:
            one_more.send(head)
            answer = one_more.answer()
        assert answer
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, "overloaded", "1")
        assert httpx.post(server.url + URL, json=GOOD).status_code == 200
        others.close()
        assert eventually(lambda: httpx.post(server.url + URL, content=large()).status_code == 200)
