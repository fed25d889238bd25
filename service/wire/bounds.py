"""How much a request line and headers may hold."""

from collections.abc import Sequence

from service.wire.refusals import HEADERS_TOO_LARGE, URI_TOO_LONG, Refusal

MAX_REQUEST_LINE_BYTES = 8 * 2**10
MAX_HEADERS_BYTES = 64 * 2**10
MAX_HEADERS = 100
PUNCTUATION = len(b": \r\n")
FIRST_LINE = len(b"GET  HTTP/1.1")


def head_fault(target: bytes, headers: Sequence[tuple[bytes, bytes]], unnamed_bytes: int = 0) -> Refusal | None:
    """What is too large about a request's head as far as it has come.

    `unnamed_bytes` may be target, headers or a header that is not complete, which the parser keeps to itself.
    """
    if len(target) + FIRST_LINE > MAX_REQUEST_LINE_BYTES:
        return URI_TOO_LONG
    if len(headers) > MAX_HEADERS or unnamed_bytes > MAX_REQUEST_LINE_BYTES + MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    if sum(len(name) + len(value) + PUNCTUATION for name, value in headers) > MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    return None
