"""Limits on request line and headers."""

from collections.abc import Sequence

from service.http.protocol_errors import HEADERS_TOO_LARGE, URI_TOO_LONG, ProtocolErrorResponse

MAX_REQUEST_LINE_BYTES = 8 * 2**10
MAX_HEADERS_BYTES = 64 * 2**10
MAX_HEADERS = 100
HEADER_OVERHEAD_BYTES = len(b": \r\n")
REQUEST_LINE_OVERHEAD_BYTES = len(b"GET  HTTP/1.1")


def check_head_size(
    target: bytes, headers: Sequence[tuple[bytes, bytes]], buffered_bytes: int = 0
) -> ProtocolErrorResponse | None:
    """Return the error for a request's head that exceeds a limit so far, or None.

    `buffered_bytes` may be target, headers or a header that is not complete, which the parser keeps to itself.
    """
    if len(target) + REQUEST_LINE_OVERHEAD_BYTES > MAX_REQUEST_LINE_BYTES:
        return URI_TOO_LONG
    if len(headers) > MAX_HEADERS or buffered_bytes > MAX_REQUEST_LINE_BYTES + MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    if sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in headers) > MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    return None
