"""Where a request carries its API key."""

from service.errors import InvalidApiKey
from service.http.exchange import Exchange

HEADERS = ("x-api-key", "api-key")
"""Beside `Authorization: Bearer`: where other servers' clients put a key."""


def check(request: Exchange) -> None:
    """Raises InvalidApiKey unless the request brings one of the keys."""
    state = request.headlight
    # Headers were decoded as latin-1.
    if not (state.keys.open or any(state.keys.admits(key.encode("latin-1")) for key in _presented(request))):
        raise InvalidApiKey("the API key is missing or wrong")


def _presented(request: Exchange) -> list[str]:
    found = [request.fields.get(name, "") for name in HEADERS]
    scheme, _, key = request.fields.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found.append(key.strip(" \t"))  # of HTTP's white space alone: a key may end in a byte that is another's
    return found
