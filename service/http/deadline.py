"""Deadline of a request: the queue timeout, or less if the client's header says so."""

import time

from service.errors import InvalidParameter
from service.http import int_parsing
from service.http.request import HttpRequest

HEADER, DEPRECATED_HEADER = "x-queue-timeout-ms", "x-request-timeout-ms"


def request_deadline(request: HttpRequest, max_ms: int) -> float:
    """Return the time, on `time.monotonic`'s clock, until which the request may wait in the queue.

    Raises InvalidParameter if the header is not a count of milliseconds.
    """
    header = HEADER if HEADER in request.header_values else DEPRECATED_HEADER
    header_value = request.header_values.get(header)
    if header_value is None:
        return time.monotonic() + max_ms / 1000
    expectation = "an integer number of milliseconds, at least 1"
    if (requested_ms := int_parsing.parse_header_int(header_value, header, expectation)) == 0:
        raise InvalidParameter(f"the header must be {expectation}", header)
    return time.monotonic() + min(requested_ms, max_ms) / 1000
