"""Handling of requests with an upgrade, which is not made, and their bodies.

httptools takes such a request to end with its headers, and what follows to be no HTTP. Java's own client asks so with
every POST ("Upgrade: h2c"), and what follows is its body.
"""

from collections.abc import Iterable

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FRAMING_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


def framing_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the header lines that announce a body; empty if there is none."""
    return b"".join(b"%s: %s\r\n" % header for header in headers if header[0] in FRAMING_HEADERS)


def resume_body_parser(protocol: HttpToolsProtocol, framing: bytes) -> httptools.HttpRequestParser:
    """Return a parser positioned at the start of that body, for it and the requests after it."""
    parser = httptools.HttpRequestParser(_SkipFirstHead(protocol))
    parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")
    return parser


class _SkipFirstHead:
    """Keeps the first head from the protocol, which knows the real one."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self._in_first_head = True
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        if not self._in_first_head:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._in_first_head:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_first_head:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._in_first_head:
            self._protocol.on_headers_complete()
        self._in_first_head = False
