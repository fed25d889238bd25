"""Tests of request headers."""

from types import SimpleNamespace

from starlette.types import Message

from service.http.request import HttpRequest
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
