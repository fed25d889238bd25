"""Where a request carries its API key."""

from starlette.requests import Request

from service.errors import InvalidApiKey
from service.state import State

HEADERS = ("x-api-key", "api-key")
"""Beside `Authorization: Bearer`: where other servers' clients put a key."""


def check(request: Request) -> None:
    """Raises InvalidApiKey unless the request brings one of the keys."""
    state: State = request.app.state.headlight
    if not state.keys.admits(_presented(request).encode("latin-1")):  # what headers are decoded by
        raise InvalidApiKey("the API key is missing or wrong")


def _presented(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip(" \t")  # of HTTP's white space alone: a key may end in a byte that is another's
    return next((request.headers[name] for name in HEADERS if name in request.headers), "")
