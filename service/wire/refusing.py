"""A connection that can be refused: the answer that ends it comes in its turn, and reaches the client."""

import asyncio
from abc import ABC, abstractmethod

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.wire.progress import BODY, REFUSED, Progress
from service.wire.reading import Reading
from service.wire.refusals import Refusal

LINGER_S = 1.0
"""After a refusal, what the client still sends is read and dropped for so long: a connection that is closed on unread
bytes is reset, and the client may never see the answer."""


class RefusingProtocol(HttpToolsProtocol, ABC):
    """uvicorn's protocol with `refuse`; a subclass says when, and what happens `on_timer`."""

    _progress: Progress
    _owed: Refusal | None = None
    _timer: asyncio.TimerHandle | None = None
    _due: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._progress = Progress()
        self.flow = self._reading = Reading(transport, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer:
            self._timer.cancel()
        self._timer = None  # it leads back here

    def on_response_complete(self) -> None:
        if self._owed is None or self.pipeline:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._write(self._owed)

    @abstractmethod
    def on_timer(self) -> None:
        """The time that `set_timer` gave is over."""

    def set_timer(self, seconds: float) -> None:
        """The connection's one timer; what it was set to before is forgotten."""
        if self._timer:
            self._timer.cancel()
        self._due = self.loop.time() + seconds
        self._timer = self.loop.call_later(seconds, self.on_timer)

    def refuse(self, refusal: Refusal) -> None:
        """Take nothing more, and say so once all that is owed to earlier requests is answered."""
        in_body = self._progress.phase is BODY
        self._progress.phase = REFUSED
        if in_body:
            self._refuse_with_body(refusal)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._owed = refusal
        else:
            self._write(refusal)

    def _refuse_with_body(self, refusal: Refusal) -> None:
        """The request whose body it is stands in a queue, or is with the app, which is told of a disconnect."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self._owed = refusal
            return
        cycle.disconnected, cycle.waiting_for_100_continue = True, False
        cycle.message_event.set()
        if cycle.response_started:
            self.transport.close()
        else:
            cycle.scope["state"]["refused"] = refusal.status  # what the app says of it is not sent
            self._write(refusal)

    def _write(self, refusal: Refusal) -> None:
        self._owed = None
        if self.transport.is_closing():
            return
        self.transport.write(refusal.wire(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._progress.since = self._reading.clock()
        self.set_timer(LINGER_S)
