"""From SIGTERM to the end: the server first says that it leaves, so that who looks sends nobody here any more."""

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType

from service.listener import LISTENER, SETTLE_S
from service.state import State

logger = logging.getLogger(__name__)


class Leaving:
    """Stands before the SIGTERM handler of the server that runs us, and calls it when `drain_s` have passed, and
    those who connected until then are taken.

    A second SIGTERM does not wait, and SIGINT never did: that handler is left as it is.
    """

    def __init__(self, state: State, drain_s: float) -> None:
        self._state = state
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self._stop: Callable[[int, FrameType | None], object] | None = None

    def install(self) -> None:
        """On the main thread, once the server has set its own handler."""
        theirs = signal.getsignal(signal.SIGTERM)
        if callable(theirs):
            self._stop = theirs
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # This runs between any two instructions of the loop's thread, so it must not touch the loop itself.
        waits = self._drain_s > 0 and not self._state.leaving
        self._state.leaving = True
        if waits:
            self._loop.call_soon_threadsafe(self._announce, number)
        elif self._stop:
            self._stop(number, frame)

    def _announce(self, number: int) -> None:
        logger.info("leaving: not ready any more, still serving for %g s", self._drain_s)
        if self._stop:
            self._loop.call_later(self._drain_s, self._close, number, self._stop)

    def _close(self, number: int, stop: Callable[[int, FrameType | None], object]) -> None:
        """The server closes its listener when it is told to stop: not before all who are connected have asked."""
        settle_s = SETTLE_S if LISTENER.deafen() else 0.0
        self._loop.call_later(settle_s, stop, number, None)
