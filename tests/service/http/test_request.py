"""Tests of request headers."""

from types import SimpleNamespace

import pytest
from starlette.types import Message

from service.http.request import HttpRequest, preferred_media_type
from service.ops.access_log import RequestRecord


async def receive() -> Message:
    raise AssertionError("nothing is received")


async def send(_message: Message) -> None:
    raise AssertionError("nothing is sent")


def test_repeated_header_first_value_wins() -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"x-api-key", b"first"), (b"x-api-key", b"second"), (b"x-name", b"caf\xe9")],
        "app": SimpleNamespace(state=SimpleNamespace(headlight="what the app holds")),
        "state": {"record": RequestRecord("POST", b"1")},
    }
    exchange = HttpRequest(scope, receive, send)
    assert exchange.header_values == {"x-api-key": "first", "x-name": "café"}
    assert exchange.header_values["x-api-key"] == exchange.headers["x-api-key"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "a/x"),
        ("a/y", "a/y"),
        ("A/Y ; q=1.0", "a/y"),
        ("a/x;q=0, a/*", "a/y"),
        ("*/*;q=0.9, a/y;q=0.8", "a/x"),
        ("a/y;q=0.1;level=1, a/x;q=0.2", "a/x"),
        ("a/y;q=high, a/x;q=0.1", "a/x"),
        (",;,", "a/x"),
    ],
)
def test_media_type_is_the_preferred_one(accept: str, expected: str) -> None:
    assert preferred_media_type(accept, ("a/x", "a/y")) == expected
