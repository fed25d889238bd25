"""Read timeout for slow clients.

A process-wide value, because uvicorn instantiates the protocol by its import path and passes no arguments of ours.
"""

import asyncio
from enum import Enum

from uvicorn.protocols.http.flow_control import FlowControl

from service import limits


class ReadTimeout:
    """`timeout_s` for a request's headers, and for its body as long, and more by its size
    (`service.http.read_timeout`)."""

    def __init__(self) -> None:
        self.timeout_s = 10.0


READ_TIMEOUT = ReadTimeout()


class TimedFlowControl(FlowControl):
    """uvicorn's back-pressure, with a clock that stands still while the server does not read."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self._time = loop.time
        self._stalled_s = 0.0
        self._paused_at = 0.0

    def reading_time(self) -> float:
        """Seconds, since some moment, in which the connection was read."""
        return (self._paused_at if self.read_paused else self._time()) - self._stalled_s

    def add_stall(self, seconds: float) -> None:
        """Exclude a stall of the event loop from the reading time: nothing was read then either."""
        self._stalled_s += seconds

    def pause_reading(self) -> None:
        if not self.read_paused:
            self._paused_at = self._time()
            super().pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused:
            self._stalled_s += self._time() - self._paused_at
            super().resume_reading()


class ReadState(Enum):
    """Part of a request that is being read."""

    IDLE_NEW = "a first byte"
    READING_HEADERS = "the rest of a request line and headers"
    READING_BODY = "the rest of a body"
    COMPLETE = "another request, or nothing"
    REJECTED = "that the client goes"


IDLE_NEW, READING_HEADERS, READING_BODY, COMPLETE, REJECTED = ReadState


class RequestProgress:
    """Progress counted per network chunk, so that a request in one chunk costs almost nothing."""

    def __init__(self) -> None:
        self.state = IDLE_NEW
        self.since = 0.0  # start of the phase, set when it is first checked
        self.received_bytes = 0  # bytes since then, including the whole chunk that started it
        self.chunk_had_body = False  # whether the last chunk had bytes of a body
        self.framing_bytes = 0  # bytes of framing and trailers since the last of the body
        self._just_entered = True
        self._chunk_bytes = 0
        self._first_chunk_bytes = 0

    def on_bytes(self, count: int) -> None:
        """Record a chunk of `count` bytes."""
        self._chunk_bytes = count
        self.chunk_had_body = False
        if self.state is COMPLETE or self.state is IDLE_NEW:
            self.enter(READING_HEADERS)
            self.received_bytes = count
        else:
            self.received_bytes += count

    def enter(self, state: ReadState) -> None:
        self.state = state
        self._just_entered = True

    def mark_incomplete(self, now: float) -> None:
        """Record that the last chunk was read and left a request incomplete."""
        if self._just_entered:
            self.since = now
            self.received_bytes = self._first_chunk_bytes = self._chunk_bytes
            self.framing_bytes = 0
            self._just_entered = False
        else:
            self.framing_bytes = 0 if self.chunk_had_body else self.framing_bytes + self._chunk_bytes

    @property
    def bytes_in_state(self) -> int:
        """Bytes that surely belong to this phase."""
        return self.received_bytes - self._first_chunk_bytes

    def allowed_s(self, timeout_s: float) -> float:
        """Return the time limit of the phase."""
        return (
            timeout_s + self.received_bytes / limits.MIN_BODY_BYTES_PER_S if self.state is READING_BODY else timeout_s
        )
