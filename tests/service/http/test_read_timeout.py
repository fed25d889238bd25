"""Tests of the read timeout for slow clients, which excludes time that the client did not cause."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import MINILM
from tests.polling import eventually
from tests.raw_http import RawConnection, RawResponse
from tests.server import Server, serve

TIMEOUT_S = 1.0
LATE_S = 8.0
"""Much later than the timeout, for machines that do other things too, and before the 10 s that are its default."""

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def post(texts: list[str], padding: int = 0) -> bytes:
    body = json.dumps({"model": MINILM, "input": texts, "encoding_format": "base64"}).encode() + b" " * padding
    return b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


SLOW_TO_COMPUTE = post([f"{i} " + "lamp " * 250 for i in range(96)])
"""Computed by one thread for longer than the timeout, by far."""


@pytest.fixture(scope="module")
def hurried(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serve(minilm, log=log, threads=1, read_timeout_ms=int(TIMEOUT_S * 1_000)) as running:
        yield running
    assert "Traceback" not in log.read_text()


@pytest.fixture
def connection(hurried: Server) -> Iterator[RawConnection]:
    """To a server that must still answer when the test is over."""
    with RawConnection(hurried.url, timeout_s=120) as connection:
        yield connection
    with RawConnection(hurried.url) as another:
        another.send(post(["A lamp."]))
        assert_ok(another.read_response())


def assert_ok(answer: RawResponse | None) -> None:
    assert answer
    assert answer.status == 200, answer.body


def assert_timed_out(connection: RawConnection, began: float) -> None:
    answer = connection.read_response()
    took = time.monotonic() - began
    assert answer
    assert (answer.status, answer.error_code) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert connection.closed_by_server()
    assert TIMEOUT_S * 0.9 < took < LATE_S


def test_idle_connection_is_closed_without_response(connection: RawConnection) -> None:
    began = time.monotonic()
    assert connection.closed_by_server(), "it connects now, and says nothing"
    assert TIMEOUT_S * 0.8 < time.monotonic() - began < LATE_S


@pytest.mark.parametrize("start", [b"G", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_incomplete_headers_time_out(connection: RawConnection, start: bytes) -> None:
    began = time.monotonic()
    connection.send(start)
    assert_timed_out(connection, began)


def test_slow_headers_time_out(connection: RawConnection) -> None:
    began = time.monotonic()
    connection.trickle(GET[:20], interval_s=TIMEOUT_S / 10)
    assert_timed_out(connection, began)


def test_slow_headers_of_second_request_time_out(connection: RawConnection) -> None:
    connection.send(GET)
    assert_ok(connection.read_response())
    time.sleep(2 * TIMEOUT_S)
    connection.send(GET)
    assert_ok(connection.read_response())
    began = time.monotonic()
    connection.send(GET[:20])
    assert_timed_out(connection, began)


def test_slow_body_times_out(connection: RawConnection) -> None:
    asked = post(["A lamp."])
    began = time.monotonic()
    connection.send(asked[:-30])
    connection.trickle(asked[-30:-10], interval_s=TIMEOUT_S / 10)
    assert_timed_out(connection, began)


def test_body_shorter_than_content_length_times_out(connection: RawConnection) -> None:
    began = time.monotonic()
    connection.send(post(["A lamp."])[:-1])
    assert_timed_out(connection, began)


def test_stalled_chunked_body_times_out(connection: RawConnection) -> None:
    began = time.monotonic()
    connection.send(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n")
    assert_timed_out(connection, began)


def test_large_body_gets_more_time(connection: RawConnection) -> None:
    asked = post(["A lamp."], padding=400_000)
    connection.send(asked[:-1_000])
    time.sleep(2.5 * TIMEOUT_S)
    connection.send(asked[-1_000:])
    assert_ok(connection.read_response())


def test_compute_time_does_not_count(connection: RawConnection) -> None:
    began = time.monotonic()
    connection.send(SLOW_TO_COMPUTE + GET[:20])
    assert_ok(connection.read_response())
    assert time.monotonic() - began > 2 * TIMEOUT_S, "or this shows nothing"
    connection.send(GET[20:])
    assert_ok(connection.read_response())


def test_pipelined_request_waits_for_the_first(connection: RawConnection) -> None:
    asked = post(["A lamp."])
    for part in (SLOW_TO_COMPUTE, asked[:-10], asked[-10:]):
        connection.send(part)
        time.sleep(0.1)
    assert_ok(connection.read_response())
    assert_ok(connection.read_response())


def test_slow_client_is_counted_as_408(connection: RawConnection, hurried: Server) -> None:
    connection.send(post(["A lamp."])[:-1])
    answer = connection.read_response()
    assert answer
    assert answer.status == 408
    metric = (
        'headlight_requests_total{code="408",error_code="request_timeout",model="",route="/v1/embeddings",status="408"}'
    )
    assert eventually(lambda: metric in httpx.get(f"{hurried.url}/metrics").text), "counted when the app has ended, too"
    assert 'headlight_requests_total{code="5' not in httpx.get(f"{hurried.url}/metrics").text
