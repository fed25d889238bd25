"""Errors of the protocol, and their bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import orjson

MEDIA_TYPE = "application/json"


def openai_error_body(status: HTTPStatus, message: str, code: str, param: str | None = None) -> bytes:
    """`{"error": {"message", "type", "param", "code"}, "detail"}`."""
    error_type = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    body = {"error": {"message": message, "type": error_type, "param": param, "code": code}, "detail": message}
    return orjson.dumps(body)


@dataclass(frozen=True)
class ProtocolErrorResponse:
    """An answer that ends the connection; `code` is stable and for programs."""

    status: HTTPStatus
    code: str
    message: str

    def to_bytes(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the whole response, with the server's own `headers` first."""
        body = openai_error_body(self.status, self.message, self.code)
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}".encode(),
            *(name + b": " + value for name, value in headers),
            f"content-type: {MEDIA_TYPE}".encode(),
            f"content-length: {len(body)}".encode(),
            b"connection: close",
        ]
        return b"\r\n".join([*lines, b"", body])


INVALID_HTTP = ProtocolErrorResponse(HTTPStatus.BAD_REQUEST, "invalid_http", "the request is not valid HTTP/1.1")
REQUEST_TIMEOUT = ProtocolErrorResponse(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "timed out while reading the request"
)
URI_TOO_LONG = ProtocolErrorResponse(HTTPStatus.REQUEST_URI_TOO_LONG, "uri_too_long", "the request line is too long")
HEADERS_TOO_LARGE = ProtocolErrorResponse(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "there are too many headers, or they are too long"
)
