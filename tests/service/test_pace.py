"""How long a client may take to send, and that nobody else's time counts against it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import MINILM
from tests.raw import Answer, Connection
from tests.server import Server, serve
from tests.waiting import eventually

TIMEOUT_S = 1.0
LATE_S = 8.0
"""Much later than the timeout, for machines that do other things too, and before the 10 s that are its default."""

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def post(texts: list[str], padding: int = 0) -> bytes:
    body = json.dumps({"model": MINILM, "input": texts, "encoding_format": "base64"}).encode() + b" " * padding
    return b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


SLOW = post([f"{i} " + "lamp " * 250 for i in range(48)])
"""Computed by one thread for longer than the timeout, by far."""


@pytest.fixture(scope="module")
def hurried(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serve(minilm, log=log, threads=1, read_timeout_ms=int(TIMEOUT_S * 1_000)) as running:
        yield running
    assert "Traceback" not in log.read_text()


@pytest.fixture
def connection(hurried: Server) -> Iterator[Connection]:
    """To a server that must still answer when the test is over."""
    with Connection(hurried.url, timeout_s=120) as connection:
        yield connection
    with Connection(hurried.url) as another:
        another.send(post(["A lamp."]))
        assert_ok(another.answer())


def assert_ok(answer: Answer | None) -> None:
    assert answer
    assert answer.status == 200, answer.body


def assert_timed_out(connection: Connection, began: float) -> None:
    answer = connection.answer()
    took = time.monotonic() - began
    assert answer
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert connection.closed()
    assert TIMEOUT_S * 0.9 < took < LATE_S


def test_a_silent_connection_is_closed_without_a_word(connection: Connection) -> None:
    began = time.monotonic()
    assert connection.closed(), "it connects now, and says nothing"
    assert TIMEOUT_S * 0.8 < time.monotonic() - began < LATE_S


@pytest.mark.parametrize("start", [b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_headers_that_do_not_come(connection: Connection, start: bytes) -> None:
    began = time.monotonic()
    connection.send(start)
    assert_timed_out(connection, began)


def test_headers_byte_by_byte(connection: Connection) -> None:
    began = time.monotonic()
    connection.trickle(GET[:20], every_s=TIMEOUT_S / 10)
    assert_timed_out(connection, began)


def test_headers_after_an_answered_request(connection: Connection) -> None:
    connection.send(GET)
    assert_ok(connection.answer())
    time.sleep(2 * TIMEOUT_S)
    connection.send(GET)
    assert_ok(connection.answer())
    began = time.monotonic()
    connection.send(GET[:20])
    assert_timed_out(connection, began)


def test_a_body_byte_by_byte(connection: Connection) -> None:
    asked = post(["A lamp."])
    began = time.monotonic()
    connection.send(asked[:-30])
    connection.trickle(asked[-30:-10], every_s=TIMEOUT_S / 10)
    assert_timed_out(connection, began)


def test_a_body_that_has_said_too_great_a_length(connection: Connection) -> None:
    began = time.monotonic()
    connection.send(post(["A lamp."])[:-1])
    assert_timed_out(connection, began)


def test_a_body_in_chunks_that_stop(connection: Connection) -> None:
    began = time.monotonic()
    connection.send(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n")
    assert_timed_out(connection, began)


def test_a_client_that_has_sent_much_may_take_longer(connection: Connection) -> None:
    asked = post(["A lamp."], padding=400_000)
    connection.send(asked[:-1_000])
    time.sleep(2.5 * TIMEOUT_S)
    connection.send(asked[-1_000:])
    assert_ok(connection.answer())


def test_time_in_which_the_server_computes_does_not_count(connection: Connection) -> None:
    began = time.monotonic()
    connection.send(SLOW + GET[:20])
    assert_ok(connection.answer())
    assert time.monotonic() - began > 2 * TIMEOUT_S, "or this shows nothing"
    connection.send(GET[20:])
    assert_ok(connection.answer())


def test_a_second_request_waits_for_the_first_as_long_as_that_takes(connection: Connection) -> None:
    asked = post(["A lamp."])
    for part in (SLOW, asked[:-10], asked[-10:]):
        connection.send(part)
        time.sleep(0.1)
    assert_ok(connection.answer())
    assert_ok(connection.answer())


def test_a_slow_client_is_counted_by_what_it_was_told(connection: Connection, hurried: Server) -> None:
    connection.send(post(["A lamp."])[:-1])
    answer = connection.answer()
    assert answer
    assert answer.status == 408
    told = 'headlight_requests_total{code="408",model="",route="/v1/embeddings"}'
    assert eventually(lambda: told in httpx.get(f"{hurried.url}/metrics").text), "counted when the app has ended, too"
    assert 'headlight_requests_total{code="5' not in httpx.get(f"{hurried.url}/metrics").text
