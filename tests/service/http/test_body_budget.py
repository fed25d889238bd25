"""Tests of the budget of all bodies: beyond it large ones are refused unread, and small ones accepted."""

import gzip
import json
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service import limits
from service.app_state import AppState
from service.errors import Overloaded
from service.http.body_limits import BodyMemoryBudget
from tests.polling import eventually
from tests.raw_http import RawConnection
from tests.server import serve
from tests.service.conftest import URL, VALID_BODY, ClientFactory

MAX_BODY_BYTES = 1_000_000


def test_full_size_bodies_are_limited() -> None:
    bodies = BodyMemoryBudget()
    for _ in range(limits.MAX_FULL_SIZE_BODIES):
        bodies.resize(0, MAX_BODY_BYTES, MAX_BODY_BYTES)
    with pytest.raises(Overloaded):
        bodies.resize(0, limits.MAX_SMALL_BODY_BYTES + 1, MAX_BODY_BYTES)
    bodies.resize(MAX_BODY_BYTES, 0, MAX_BODY_BYTES)
    bodies.resize(0, MAX_BODY_BYTES, MAX_BODY_BYTES)
    bodies = BodyMemoryBudget()
    bodies.resize(0, 100 * MAX_BODY_BYTES, MAX_BODY_BYTES)


def test_small_bodies_have_their_own_budget() -> None:
    bodies = BodyMemoryBudget()
    bodies.resize(0, limits.MAX_FULL_SIZE_BODIES * MAX_BODY_BYTES, MAX_BODY_BYTES)
    count = limits.MAX_FULL_SIZE_BODIES * MAX_BODY_BYTES // limits.SMALL_BODY_DIVISOR // limits.MAX_SMALL_BODY_BYTES
    for _ in range(count):
        bodies.resize(0, limits.MAX_SMALL_BODY_BYTES, MAX_BODY_BYTES)
    with pytest.raises(Overloaded):
        bodies.resize(0, limits.MAX_SMALL_BODY_BYTES, MAX_BODY_BYTES)
    with pytest.raises(Overloaded):
        bodies.resize(
            limits.MAX_SMALL_BODY_BYTES, limits.MAX_SMALL_BODY_BYTES + 1, MAX_BODY_BYTES
        )  # as it arrives it turns out to be large
    bodies.resize(limits.MAX_SMALL_BODY_BYTES, 0, MAX_BODY_BYTES)
    bodies.resize(0, limits.MAX_SMALL_BODY_BYTES, MAX_BODY_BYTES)
    with pytest.raises(Overloaded):
        bodies.resize(0, limits.MAX_SMALL_BODY_BYTES, MAX_BODY_BYTES)


def large(**fields: object) -> bytes:
    return json.dumps({**VALID_BODY, **fields}).encode() + b" " * 500_000


def test_budget_is_released_after_response(serving: ClientFactory) -> None:
    with serving(max_body_bytes=MAX_BODY_BYTES) as client:
        state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
        held = state.body_budget._reserved_bytes
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


def test_inflated_size_is_reserved(serving: ClientFactory) -> None:
    with serving(max_body_bytes=MAX_BODY_BYTES) as client:
        state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
        state.body_budget.resize(0, limits.MAX_FULL_SIZE_BODIES * MAX_BODY_BYTES, MAX_BODY_BYTES)
        body = gzip.compress(large())
        assert len(body) < limits.MAX_SMALL_BODY_BYTES
        answer = client.post(URL, content=body, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")


def test_content_length_is_reserved_before_the_body_arrives(tiny: Path) -> None:
    head = f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n".encode()
    with serve(tiny, max_body_bytes=MAX_BODY_BYTES) as server, ExitStack() as others:
        for _ in range(limits.MAX_FULL_SIZE_BODIES):
            slow = others.enter_context(RawConnection(server.url))
            slow.send(head + b"{")
        httpx.get(f"{server.url}/livez")  # in its turn, after those
        with RawConnection(server.url) as one_more:
            one_more.send(head)
            answer = one_more.read_response()
        assert answer
        assert (answer.status, answer.error_code, answer.headers["retry-after"]) == (429, "overloaded", "1")
        assert httpx.post(server.url + URL, json=VALID_BODY).status_code == 200
        others.close()
        assert eventually(lambda: httpx.post(server.url + URL, content=large()).status_code == 200)
