"""What is read of a request's header."""

from types import SimpleNamespace

from starlette.types import Message

from service.answered import Answered
from service.http.exchange import Exchange


async def receive() -> Message:
    raise AssertionError("nothing is received")


async def send(_message: Message) -> None:
    raise AssertionError("nothing is sent")


def test_of_fields_alike_the_first_counts() -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"x-api-key", b"first"), (b"x-api-key", b"second"), (b"x-name", b"caf\xe9")],
        "app": SimpleNamespace(state=SimpleNamespace(headlight="what the app holds")),
        "state": {"answered": Answered("POST", b"1")},
    }
    exchange = Exchange(scope, receive, send)
    assert exchange.fields == {"x-api-key": "first", "x-name": "café"}
    assert exchange.fields["x-api-key"] == exchange.headers["x-api-key"]
