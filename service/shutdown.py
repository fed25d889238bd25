"""Graceful shutdown: fail readiness first, so that load balancers stop routing here, then stop."""

import asyncio
import logging
import signal
from collections.abc import Callable
from types import FrameType

from service.bootstrap import AppState
from service.http.accept_gate import ACCEPT_GATE, SETTLE_S

logger = logging.getLogger(__name__)


class GracefulShutdown:
    """Stands before the SIGTERM handler of the server that runs us, and calls it when `drain_s` have passed, and
    those who connected until then are taken.

    A second SIGTERM does not wait, and SIGINT never did: that handler is left as it is.
    """

    def __init__(self, state: AppState, drain_s: float) -> None:
        self._state = state
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self._server_handler: Callable[[int, FrameType | None], object] | None = None

    def install(self) -> None:
        """Install on the main thread, after the server has set its own handler."""
        server_handler = signal.getsignal(signal.SIGTERM)
        if callable(server_handler):
            self._server_handler = server_handler
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # This runs between any two instructions of the loop's thread, so it must not touch the loop itself.
        should_drain = self._drain_s > 0 and not self._state.terminating
        self._state.terminating = True
        if should_drain:
            self._loop.call_soon_threadsafe(self._begin_drain, number)
        elif self._server_handler:
            self._server_handler(number, frame)

    def _begin_drain(self, number: int) -> None:
        logger.info("SIGTERM received: /readyz now fails; serving for another %g s before shutdown", self._drain_s)
        if self._server_handler:
            self._loop.call_later(self._drain_s, self._stop_accepting, number, self._server_handler)

    def _stop_accepting(self, number: int, server_handler: Callable[[int, FrameType | None], object]) -> None:
        """Drop new connections, then stop the server once the accept queue is drained."""
        settle_s = SETTLE_S if ACCEPT_GATE.stop_accepting() else 0.0
        self._loop.call_later(settle_s, server_handler, number, None)
