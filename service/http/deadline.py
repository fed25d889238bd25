"""How long a request may wait: as configured, or less where its header says so."""

import time

from starlette.requests import Request

from service.errors import InvalidParameter

HEADER = "x-request-timeout-ms"


def deadline_of(request: Request, most_ms: int) -> float:
    """On `time.monotonic`'s clock. Raises InvalidParameter when the header is no count of milliseconds."""
    told = request.headers.get(HEADER)
    if told is None:
        return time.monotonic() + most_ms / 1000
    if not (told.isascii() and told.isdecimal()) or int(told[:10]) == 0:
        raise InvalidParameter("the header is a whole number of milliseconds, at least 1", HEADER)
    return time.monotonic() + min(int(told[:10]), most_ms) / 1000
