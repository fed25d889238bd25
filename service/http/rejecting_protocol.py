"""Protocol that can reject a connection: the error response is sent in order, and reaches the client."""

import asyncio
from abc import ABC, abstractmethod

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.flow_control import TimedFlowControl
from service.http.protocol_errors import ProtocolErrorResponse
from service.http.request_progress import READING_BODY, REJECTED, RequestProgress

LINGERING_CLOSE_S = 1.0
"""Time after a rejection in which the client's data is read and discarded: closing a connection with unread bytes
resets it, and the client may never see the response."""


class RejectingProtocol(HttpToolsProtocol, ABC):
    """uvicorn's protocol with `reject`; a subclass says when, and what happens `on_timer`."""

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
        self._timer = None  # it leads back here

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
        self.set_timer(LINGERING_CLOSE_S)
