"""API key authentication of requests."""

from service.errors import InvalidApiKey
from service.http.request import HttpRequest

API_KEY_HEADERS = ("x-api-key", "api-key")
"""Headers accepted in addition to `Authorization: Bearer`, as used by other servers' clients."""


def require_api_key(request: HttpRequest) -> None:
    """Raise InvalidApiKey unless the request has a valid key."""
    state = request.app_state
    # Headers were decoded as latin-1.
    if not (
        state.api_keys.auth_disabled
        or any(state.api_keys.is_valid(key.encode("latin-1")) for key in _credentials(request))
    ):
        raise InvalidApiKey("the API key is missing or wrong")


def _credentials(request: HttpRequest) -> list[str]:
    candidates = [request.header_values.get(name, "") for name in API_KEY_HEADERS]
    scheme, _, key = request.header_values.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        candidates.append(key.strip(" \t"))  # of HTTP's white space alone: a key may end in a byte that is another's
    return candidates
