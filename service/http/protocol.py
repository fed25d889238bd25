"""uvicorn's HTTP/1.1 protocol with limits: request line, headers, trailers, and a read timeout for slow clients.

The limits apply while the data arrive, before the app sees the request. A violation, or invalid HTTP, is answered here
in the format of the app's errors and ends the connection.

The protocol runs for every request, so one that arrives at once costs a few assignments, and a connection has one
timer, which is set again when it fires and not when a request comes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service import limits
from service.http.protocol_errors import (
    HEADERS_TOO_LARGE,
    INVALID_HTTP,
    REQUEST_TIMEOUT,
    URI_TOO_LONG,
    ProtocolErrorResponse,
)
from service.http.read_timeout import (
    COMPLETE,
    READ_TIMEOUT,
    READING_BODY,
    READING_HEADERS,
    REJECTED,
    RequestProgress,
    TimedFlowControl,
)
from service.shutdown import ACCEPT_GATE, restore_min_ttl

HEADER_OVERHEAD_BYTES = len(b": \r\n")
REQUEST_LINE_OVERHEAD_BYTES = len(b"GET  HTTP/1.1")


def check_head_size(
    target: bytes, headers: Sequence[tuple[bytes, bytes]], buffered_bytes: int = 0
) -> ProtocolErrorResponse | None:
    """Return the error for a request's head that exceeds a limit so far, or None.

    `buffered_bytes` may be target, headers or a header that is not complete, which the parser keeps to itself.
    """
    if len(target) + REQUEST_LINE_OVERHEAD_BYTES > limits.MAX_REQUEST_LINE_BYTES:
        return URI_TOO_LONG
    if len(headers) > limits.MAX_HEADERS or buffered_bytes > limits.MAX_REQUEST_LINE_BYTES + limits.MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    if sum(len(name) + len(value) + HEADER_OVERHEAD_BYTES for name, value in headers) > limits.MAX_HEADERS_BYTES:
        return HEADERS_TOO_LARGE
    return None


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


class RejectingProtocol(HttpToolsProtocol, ABC):
    """Protocol of uvicorn with `reject`; a subclass decides when to reject, and what happens `on_timer`."""

    _progress: RequestProgress
    _pending_rejection: ProtocolErrorResponse | None = None
    _timer: asyncio.TimerHandle | None = None
    _timer_due: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._progress = RequestProgress()
        self.flow = self._timed_flow = TimedFlowControl(transport, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()
        self._timer = None  # break the reference cycle

    def on_response_complete(self) -> None:
        if self._pending_rejection is None or self.pipeline:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._write_rejection(self._pending_rejection)

    @abstractmethod
    def on_timer(self) -> None:
        """Handle the end of the time set by `set_timer`."""

    def set_timer(self, seconds: float) -> None:
        """Set the connection's only timer, replacing its previous setting."""
        if self._timer:
            self._timer.cancel()
        self._timer_due = self.loop.time() + seconds
        self._timer = self.loop.call_later(seconds, self.on_timer)

    def reject(self, rejection: ProtocolErrorResponse) -> None:
        """Stop reading requests, and send the rejection after the responses to earlier requests."""
        in_body = self._progress.state is READING_BODY
        self._progress.state = REJECTED
        if in_body:
            self._reject_in_body(rejection)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._pending_rejection = rejection
        else:
            self._write_rejection(rejection)

    def _reject_in_body(self, rejection: ProtocolErrorResponse) -> None:
        """Reject a request while its body arrives: remove it from the pipeline, or signal a disconnect to the app."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self._pending_rejection = rejection
            return
        cycle.disconnected, cycle.waiting_for_100_continue = True, False
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.close()
        else:
            cycle.scope["state"]["rejection"] = rejection  # the app's own response is not sent
            self._write_rejection(rejection)

    def _write_rejection(self, rejection: ProtocolErrorResponse) -> None:
        self._pending_rejection = None
        if self.transport.is_closing():
            return
        self.transport.write(rejection.to_bytes(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._progress.since = self._timed_flow.reading_time()
        self.set_timer(limits.LINGERING_CLOSE_S)


LOOP_STALL_S = 0.1
"""Timer delay from which the event loop counts as stalled: it did not read the client's data in that time."""


REQUIRED_OF_UVICORN = ("_unset_keepalive_if_required", "on_body", "on_header", "on_headers_complete",
                       "on_message_begin", "on_message_complete", "on_response_complete", "on_url")  # fmt: skip
"""Methods of uvicorn's httptools protocol that this one overrides or calls, most of them private."""

REQUIRED_ATTRIBUTES = ("cycle", "flow", "headers", "loop", "parser", "pipeline", "scope", "server_state", "transport")
REQUIRED_OF_CYCLE = ("body", "disconnected", "message_event", "more_body", "response_complete", "response_started",
                     "scope", "waiting_for_100_continue")  # fmt: skip
"""Attributes that uvicorn's protocol and its request cycle set in their initializers, and that this one uses."""


def check_uvicorn() -> None:
    """Raise UnsupportedUvicorn if uvicorn's protocol lacks a method or an attribute that this one builds on."""
    set_by_protocol, set_by_cycle = (
        each.__init__.__code__.co_names for each in (HttpToolsProtocol, RequestResponseCycle)
    )
    missing = [
        *(name for name in REQUIRED_OF_UVICORN if not hasattr(HttpToolsProtocol, name)),
        *(name for name in REQUIRED_ATTRIBUTES if name not in set_by_protocol),
        *(f"cycle.{name}" for name in REQUIRED_OF_CYCLE if name not in set_by_cycle),
    ]
    if missing:
        raise UnsupportedUvicorn(
            f"uvicorn {uvicorn.__version__} is not supported: its HTTP protocol has no {', '.join(missing)}; "
            "install the version that pyproject.toml names"
        )


class UnsupportedUvicorn(Exception):
    """The installed uvicorn differs from the one that the protocol was written for."""


class _HeadTooLarge(Exception):
    """Signal to stop the parser; the error response is in `_size_error`."""


class HardenedHttpProtocol(RejectingProtocol):
    """HTTP/1.1 protocol of one connection, with limits."""

    url: bytes = b""
    _unsent_bytes: int = 0
    _size_error: ProtocolErrorResponse | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if ACCEPT_GATE.closed_to_new:
            restore_min_ttl(transport.get_extra_info("socket"))
        self.headers = []
        self._timeout_s = READ_TIMEOUT.timeout_s
        self._progress.mark_incomplete(self._timed_flow.reading_time())
        self.set_timer(self._timeout_s)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        progress = self._progress
        if progress.state is REJECTED:
            return
        progress.on_bytes(len(data))
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.reject(self._size_error or INVALID_HTTP)
        if progress.state is COMPLETE and self.cycle.scope is not self.scope:
            progress.enter(READING_HEADERS)  # bytes of another request in the same chunk
        if progress.state is not COMPLETE and progress.state is not REJECTED:
            self._check_partial_request()

    def on_headers_complete(self) -> None:
        # A head within these limits cannot exceed the others.
        if self._progress.received_bytes > limits.MAX_REQUEST_LINE_BYTES or len(self.headers) > limits.MAX_HEADERS:
            self._size_error = check_head_size(self.url, self.headers)
            if self._size_error:
                raise _HeadTooLarge
        super().on_headers_complete()
        self.headers = []  # otherwise trailers would be added to the headers that the app holds
        self._progress.enter(READING_BODY)

    def on_body(self, body: bytes) -> None:
        """Append a chunk, possibly of one byte, to the body; the app is notified once per socket read."""
        self._progress.chunk_had_body = True
        if not self.cycle.response_complete:
            self.cycle.body += body

    def on_message_complete(self) -> None:
        self._progress.state = COMPLETE
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_timer(self) -> None:
        if self._write_stalled():
            self.transport.abort()
            return
        if self.transport.is_closing():
            self.set_timer(self._timeout_s)  # until the client has read the last bytes
            return
        remaining_s = self._remaining_s()
        if remaining_s > 0:
            # Not later: the next phase could have started by then.
            self.set_timer(min(remaining_s, self._timeout_s))
        elif self._progress.state in (READING_HEADERS, READING_BODY):
            self.reject(REQUEST_TIMEOUT)
        else:
            self.transport.close()  # no response: nothing was received, or the error is already sent

    def _write_stalled(self) -> bool:
        """Return True if the write buffer is not empty and has not changed since the timer last fired."""
        unsent_bytes, previous = self.transport.get_write_buffer_size(), self._unsent_bytes
        self._unsent_bytes = unsent_bytes
        return unsent_bytes > 0 and unsent_bytes == previous

    def _should_upgrade(self) -> bool:
        return False  # WebSockets are not supported

    def _after_upgrade(self, rest: bytes) -> None:
        """Handle a request with an upgrade as the plain request that it also is, and so the requests after it."""
        upgrading = True
        while upgrading:
            try:
                if framing := framing_headers(self.scope["headers"]):
                    self._resume_body(framing)
                self.parser.feed_data(rest)
                upgrading = False
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                self.reject(self._size_error or INVALID_HTTP)
                upgrading = False

    def _resume_body(self, framing: bytes) -> None:
        """Continue with the body of the request that the parser reported as complete."""
        self.cycle.more_body = True
        self.cycle.message_event.clear()
        self._progress.enter(READING_BODY)
        self.parser = resume_body_parser(self, framing)

    def _check_partial_request(self) -> None:
        progress = self._progress
        progress.mark_incomplete(self._timed_flow.reading_time())
        if progress.state is READING_HEADERS:
            error = check_head_size(self.url, self.headers, progress.bytes_in_state)
        else:
            error = HEADERS_TOO_LARGE if progress.framing_bytes > limits.MAX_HEADERS_BYTES else None
            self._notify_body()
        if error:
            self.reject(error)

    def _notify_body(self) -> None:
        if self._progress.chunk_had_body and not self.cycle.response_complete:
            if len(self.cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            self.cycle.message_event.set()

    def _remaining_s(self) -> float:
        """Return the seconds left for an incomplete request. Called only when the timer fires."""
        progress, now = self._progress, self._now()
        if progress.state is COMPLETE or self._pending_rejection:
            return self._timeout_s
        if self._app_is_busy():
            progress.since = now
        allowed_s = limits.LINGERING_CLOSE_S if progress.state is REJECTED else progress.allowed_s(self._timeout_s)
        return progress.since + allowed_s - now

    def _app_is_busy(self) -> bool:
        """Return True if the app still handles an earlier request, or the client waits for 100 Continue."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._progress.state is READING_HEADERS or self.cycle.waiting_for_100_continue

    def _now(self) -> float:
        late_s = self.loop.time() - self._timer_due
        if late_s > LOOP_STALL_S:
            self._timed_flow.add_stall(late_s)
        return self._timed_flow.reading_time()
