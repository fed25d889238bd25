"""How long a request may wait: as configured, or less where its header says so."""

import time

from service.errors import InvalidParameter
from service.http import int_parsing
from service.http.request import HttpRequest

HEADER = "x-request-timeout-ms"


def request_deadline(request: HttpRequest, max_ms: int) -> float:
    """On `time.monotonic`'s clock. Raises InvalidParameter when the header is no count of milliseconds."""
    header_value = request.header_values.get(HEADER)
    if header_value is None:
        return time.monotonic() + max_ms / 1000
    expectation = "an integer number of milliseconds, at least 1"
    if (requested_ms := int_parsing.parse_header_int(header_value, HEADER, expectation)) == 0:
        raise InvalidParameter(f"the header must be {expectation}", HEADER)
    return time.monotonic() + min(requested_ms, max_ms) / 1000
