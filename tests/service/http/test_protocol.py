"""Tests of the HTTP protocol: malformed or oversized requests get a typed error, and the next valid one its
response."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.http import protocol
from tests.raw_http import RawConnection, RawResponse
from tests.server import Server, serve

REQUEST_BODY = json.dumps({"model": "tiny", "input": "the lamp"}).encode()
POST = b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\n"
GOOD = POST + b"Content-Length: %d\r\n\r\n" % len(REQUEST_BODY) + REQUEST_BODY
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def strict(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serve(tiny, log=log, read_timeout_ms=5_000) as running:
        yield running, log


@pytest.fixture
def connection(strict: tuple[Server, Path]) -> Iterator[RawConnection]:
    """To a server that must still answer when the test is over, and have logged no fault."""
    server, log = strict
    with RawConnection(server.url) as connection:
        yield connection
    with RawConnection(server.url) as another:
        another.send(GOOD)
        assert_embedded(another.read_response())
        another.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        counted = another.read_response()
    assert counted
    assert b'headlight_requests_total{code="5' not in counted.body
    logged = log.read_text()
    assert "Traceback" not in logged
    assert "WARNING" not in logged
    assert "ERROR" not in logged


def assert_embedded(answer: RawResponse | None) -> None:
    assert answer
    assert answer.status == 200, answer.body
    assert len(json.loads(answer.body)["data"][0]["embedding"]) == 32


def assert_rejected(connection: RawConnection, status: int, code: str) -> None:
    answer = connection.read_response()
    assert answer
    assert (answer.status, answer.error_code) == (status, code)
    assert answer.headers["connection"] == "close"
    assert "date" in answer.headers
    assert connection.closed_by_server()


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: ten\r\n\r\n",
        POST + b"Content-Length: 1e3\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\nabc\r\n",
        CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffffffff\r\n",
        b"\x00\xff\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /lámpara HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"na me: value\r\n\r\n",
        GET + b"name: val\x00ue\r\n\r\n",
        GET + b" folded: value\r\n\r\n",
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: identity\r\n\r\n",
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_invalid_http(connection: RawConnection, sent: bytes) -> None:
    connection.send(sent)
    assert_rejected(connection, 400, "invalid_http")


@pytest.mark.parametrize("ended", [True, False])
def test_request_line_too_long(connection: RawConnection, ended: bool) -> None:
    connection.send(b"GET /" + b"a" * 8_192 + (b" HTTP/1.1\r\nHost: x\r\n\r\n" if ended else b""))
    assert_rejected(connection, 414, "uri_too_long")


def test_request_head_at_the_limit(connection: RawConnection) -> None:
    connection.send(b"GET /livez?" + b"a" * 8_100 + b" HTTP/1.1\r\n")
    connection.send(b"".join(b"h%d: %s\r\n" % (i, b"v" * 640) for i in range(100)) + b"\r\n")
    answer = connection.read_response()
    assert answer
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"h%d: v\r\n" % i for i in range(101)) + b"\r\n",
        b"".join(b"h%d: %s\r\n" % (i, b"v" * 900) for i in range(80)) + b"\r\n",
        b"h: " + b"v" * 70_000 + b"\r\n\r\n",
        b"h: " + b"v" * 2_000_000,
        b"h" * 2_000_000,
    ],
)
def test_headers_too_large(connection: RawConnection, headers: bytes) -> None:
    connection.send(GET + headers)
    assert_rejected(connection, 431, "headers_too_large")


def test_headers_are_limited_while_arriving(connection: RawConnection) -> None:
    connection.send(GET + b"h: ")
    time.sleep(0.05)
    connection.send(b"v" * 80_000)
    assert_rejected(connection, 431, "headers_too_large")


def test_endless_trailers(connection: RawConnection) -> None:
    connection.send(CHUNKED + b"1\r\n{\r\n0\r\nh: ")
    time.sleep(0.05)
    connection.send(b"v" * 500_000)
    assert_rejected(connection, 431, "headers_too_large")


def test_trailers_are_dropped(connection: RawConnection) -> None:
    body = b"%x\r\n%s\r\n0\r\nContent-Type: text/plain\r\n\r\n" % (len(REQUEST_BODY), REQUEST_BODY)
    connection.send(CHUNKED + body + GOOD)
    assert_embedded(connection.read_response())
    assert_embedded(connection.read_response())


@pytest.fixture(scope="module")
def million() -> bytes:
    """Made before the clock starts."""
    body = REQUEST_BODY + b" " * (1_000_000 - len(REQUEST_BODY))
    return CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def test_million_one_byte_chunks(million: bytes, connection: RawConnection) -> None:
    began = time.monotonic()
    connection.send(million)
    assert_embedded(connection.read_response())
    assert time.monotonic() - began < 60, "what takes a second unless each chunk costs as much as all before it"


def test_content_length_too_short(connection: RawConnection) -> None:
    connection.send(POST + b"Content-Length: %d\r\n\r\n" % (len(REQUEST_BODY) - 5) + REQUEST_BODY)
    answer = connection.read_response()
    assert answer
    assert (answer.status, answer.error_code) == (400, "invalid_json")
    assert_rejected(connection, 400, "invalid_http")


def test_disconnect_within_the_body(connection: RawConnection) -> None:
    connection.send(GOOD[:-5])


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"made-up"])
def test_upgrade_request_is_served_as_http_1_1(connection: RawConnection, protocol: bytes) -> None:
    asked = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Version: 13\r\n"
    connection.send(b"GET /v1/embeddings HTTP/1.1\r\nHost: x\r\n" + asked + b"\r\n")
    answer = connection.read_response()
    assert answer
    assert (answer.status, answer.error_code) == (405, "method_not_allowed")
    upgrading = GOOD.replace(b"Host: x\r\n", b"Host: x\r\n" + asked)
    connection.send((GET + asked + b"\r\n") * 3 + upgrading * 2 + GOOD)
    statuses = [answer.status for answer in (connection.read_response() for _ in range(6)) if answer]
    assert statuses == [200] * 6


def test_http_1_0(connection: RawConnection) -> None:
    connection.send(GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert_embedded(connection.read_response())
    assert connection.closed_by_server()


def test_pipelined_responses_keep_order(connection: RawConnection) -> None:
    missing = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.send((GOOD + missing + GET + b"\r\n") * 5)
    assert [answer.status for answer in (connection.read_response() for _ in range(15)) if answer] == [
        200,
        404,
        200,
    ] * 5


@pytest.mark.parametrize("bad", [b"garbage\r\n\r\n", CHUNKED + b"zz\r\n", GET + b"h: v\r\n" * 101 + b"\r\n"])
def test_earlier_responses_precede_the_rejection(connection: RawConnection, bad: bytes) -> None:
    connection.send(GOOD + GOOD + bad)
    assert_embedded(connection.read_response())
    assert_embedded(connection.read_response())
    answer = connection.read_response()
    assert answer
    assert answer.status in (400, 431)
    assert connection.closed_by_server()


@pytest.mark.parametrize("path", [b"/%ff%00", b"/%", b"/%zz", b"//", b"/../../etc/passwd", b"/livez%0d%0aX: y"])
def test_percent_encoded_garbage_in_the_path(connection: RawConnection, path: bytes) -> None:
    connection.send(b"GET " + path.replace(b" ", b"%20") + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = connection.read_response()
    assert answer
    assert (answer.status, answer.error_code) == (404, "not_found")


def test_upgrade_request_with_late_chunked_body(connection: RawConnection) -> None:
    head = CHUNKED.replace(b"Host: x\r\n", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n")
    connection.send(head)
    time.sleep(0.05)
    connection.send(b"%x\r\n%s\r\n" % (len(REQUEST_BODY), REQUEST_BODY))
    time.sleep(0.05)
    connection.send(b"0\r\n\r\n" + GOOD)
    assert_embedded(connection.read_response())
    assert_embedded(connection.read_response())


def test_unexpected_uvicorn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol.check_uvicorn()
    monkeypatch.setattr(protocol, "REQUIRED_OF_UVICORN", ("on_url", "on_telepathy"))
    with pytest.raises(protocol.UnsupportedUvicorn, match=r"uvicorn [\d.]+ is not supported: .* no on_telepathy"):
        protocol.check_uvicorn()
    monkeypatch.undo()
    monkeypatch.setattr(protocol, "REQUIRED_OF_CYCLE", ("body", "aura"))
    with pytest.raises(protocol.UnsupportedUvicorn, match=r"no cycle\.aura"):
        protocol.check_uvicorn()
