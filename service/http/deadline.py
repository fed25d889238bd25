"""How long a request may wait: as configured, or less where its header says so."""

import time

from service.errors import InvalidParameter
from service.http import numbers
from service.http.exchange import Exchange

HEADER = "x-request-timeout-ms"


def deadline_of(request: Exchange, most_ms: int) -> float:
    """On `time.monotonic`'s clock. Raises InvalidParameter when the header is no count of milliseconds."""
    told = request.fields.get(HEADER)
    if told is None:
        return time.monotonic() + most_ms / 1000
    what = "a whole number of milliseconds, at least 1"
    if (asked_ms := numbers.of_header(told, HEADER, what)) == 0:
        raise InvalidParameter(f"the header is {what}", HEADER)
    return time.monotonic() + min(asked_ms, most_ms) / 1000
