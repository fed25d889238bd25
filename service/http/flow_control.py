"""Reading time of a connection: pauses by the server's own flow control do not count against the client."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl


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
