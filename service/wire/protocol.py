"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may send before any app sees it.

Request line, headers, trailers and the pace at which they and a body come are bounded while they arrive. What breaks a
bound, or is no HTTP, is answered here, in the shape of the app's own errors, and ends the connection.

This stands under every request. So a request that comes whole costs a few assignments, and a connection has one timer,
which is set again when it fires and not when a request comes.
"""

import asyncio

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from service.listener import LISTENER, hear
from service.wire.bounds import MAX_HEADERS, MAX_HEADERS_BYTES, MAX_REQUEST_LINE_BYTES, head_fault
from service.wire.pace import PACE
from service.wire.progress import BODY, DONE, HEAD, REFUSED
from service.wire.refusals import HEADERS_TOO_LARGE, INVALID_HTTP, REQUEST_TIMEOUT, Refusal
from service.wire.refusing import LINGER_S, RefusingProtocol
from service.wire.upgrade import framing_of, parser_of_body

HELD_UP_S = 0.1
"""A timer that fires so late tells of a loop that was busy, and did not read what the client sent."""


class _TooLarge(Exception):
    """Stops the parser; the refusal is kept beside it."""


class BoundedProtocol(RefusingProtocol):
    """One for each connection."""

    url: bytes = b""
    _unread: int = 0
    _too_large: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if LISTENER.deaf:
            hear(transport.get_extra_info("socket"))
        self.headers = []
        self._timeout_s = PACE.timeout_s
        self._progress.look(self._reading.clock())
        self.set_timer(self._timeout_s)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        progress = self._progress
        if progress.phase is REFUSED:
            return
        progress.came(len(data))
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(self._too_large or INVALID_HTTP)
        if progress.phase is DONE and self.cycle.scope is not self.scope:
            progress.begin(HEAD)  # of another request in the same chunk
        if progress.phase is not DONE and progress.phase is not REFUSED:
            self._look_at_what_is_incomplete()

    def on_headers_complete(self) -> None:
        # What came in so few bytes can only be too many.
        if self._progress.arrived > MAX_REQUEST_LINE_BYTES or len(self.headers) > MAX_HEADERS:
            self._too_large = head_fault(self.url, self.headers)
            if self._too_large:
                raise _TooLarge
        super().on_headers_complete()
        self.headers = []  # or trailers would be added to those of a request that the app has
        self._progress.begin(BODY)

    def on_body(self, body: bytes) -> None:
        """Called for every chunk, were it of one byte; the app is told when all that came is read."""
        self._progress.fruitful = True
        if not self.cycle.response_complete:
            self.cycle.body += body

    def on_message_complete(self) -> None:
        self._progress.phase = DONE
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_timer(self) -> None:
        if self._is_not_read():
            self.transport.abort()
            return
        if self.transport.is_closing():
            self.set_timer(self._timeout_s)  # until the client has its last bytes
            return
        left_s = self._left_s()
        if left_s > 0:
            # Not later: by then another phase may be over that has not yet begun.
            self.set_timer(min(left_s, self._timeout_s))
        elif self._progress.phase in (HEAD, BODY):
            self.refuse(REQUEST_TIMEOUT)
        else:
            self.transport.close()  # to one that never spoke, or was told, there is nothing to say

    def _is_not_read(self) -> bool:
        """Nothing of what the client is owed has gone since the timer fired before: it would be kept for ever."""
        owed, before = self.transport.get_write_buffer_size(), self._unread
        self._unread = owed
        return owed > 0 and owed == before

    def _should_upgrade(self) -> bool:
        return False  # there is no WebSocket here

    def _after_upgrade(self, rest: bytes) -> None:
        """What asked for an upgrade is answered as the plain request that it is too, and so is what follows it."""
        asked = True
        while asked:
            try:
                if framing := framing_of(self.scope["headers"]):
                    self._reopen(framing)
                self.parser.feed_data(rest)
                asked = False
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                self.refuse(self._too_large or INVALID_HTTP)
                asked = False

    def _reopen(self, framing: bytes) -> None:
        """The request that has just been called complete has a body."""
        self.cycle.more_body = True
        self.cycle.message_event.clear()
        self._progress.begin(BODY)
        self.parser = parser_of_body(self, framing)

    def _look_at_what_is_incomplete(self) -> None:
        progress = self._progress
        progress.look(self._reading.clock())
        if progress.phase is HEAD:
            fault = head_fault(self.url, self.headers, progress.whole_chunks)
        else:
            fault = HEADERS_TOO_LARGE if progress.barren > MAX_HEADERS_BYTES else None
            self._tell_of_body()
        if fault:
            self.refuse(fault)

    def _tell_of_body(self) -> None:
        if self._progress.fruitful and not self.cycle.response_complete:
            if len(self.cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            self.cycle.message_event.set()

    def _left_s(self) -> float:
        """Seconds that what is incomplete may still take. Asked when the timer fires, and by nothing else."""
        progress, now = self._progress, self._now()
        if progress.phase is DONE or self._owed:
            return self._timeout_s
        if self._waits_for_us():
            progress.since = now
        allowed_s = LINGER_S if progress.phase is REFUSED else progress.allowed_s(self._timeout_s)
        return progress.since + allowed_s - now

    def _waits_for_us(self) -> bool:
        """Is an earlier request still with the app, or the client told to wait before it sends a body?"""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._progress.phase is HEAD or self.cycle.waiting_for_100_continue

    def _now(self) -> float:
        late_s = self.loop.time() - self._due
        if late_s > HELD_UP_S:
            self._reading.held_up(late_s)
        return self._reading.clock()
