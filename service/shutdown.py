"""Graceful shutdown: its states, the SIGTERM handler, and the listening socket.

READY     serving
UNREADY   SIGTERM was received: readiness fails and responses close their connections, so that load balancers stop
          routing here; everything is still served
CLOSED    no new connections; requests in flight are finished
DRAINED   no request is left; the engine stops

Before the listening socket is closed, IP_MINTTL=255 makes the kernel drop new SYNs while the accept queue drains.
Otherwise connections in the queue are reset, up to one per client that connects at that moment (docs/adr/0025).
IP_MINTTL drops packets whose TTL is lower (RFC 5082); hosts send with 64 or 128. A packet filter would do the same but
needs capabilities that a container does not have.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""Delay from dropping SYNs to closing: the queue drains, and requests one round trip behind arrive."""

_MIN_TTL_OPTIONS = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
"""Linux' IP_MINTTL and IPV6_MINHOPCOUNT, for which Python has no constants."""
_MAX_TTL = 255


class Phase(IntEnum):
    """Phases of a server's life, in their order."""

    READY = 0
    UNREADY = 1
    CLOSED = 2
    DRAINED = 3


class Lifecycle:
    """Phase of a running app. It only advances; signal handlers and any thread may advance it."""

    def __init__(self) -> None:
        self.phase = Phase.READY

    def advance(self, phase: Phase) -> bool:
        """Enter a later phase; return False if it was reached before."""
        if phase <= self.phase:
            return False
        self.phase = phase
        return True


class GracefulShutdown:
    """Runs before the SIGTERM handler of the server that runs the app, and calls it after `delay_s`.

    A second SIGTERM skips the delay. SIGINT never has one: its handler is left as it is.
    """

    def __init__(self, lifecycle: Lifecycle, delay_s: float) -> None:
        self._lifecycle = lifecycle
        self._delay_s = delay_s
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
        is_first = self._lifecycle.advance(Phase.UNREADY)
        if is_first and self._delay_s > 0:
            self._loop.call_soon_threadsafe(self._begin_delay, number)
        elif self._server_handler:
            self._lifecycle.advance(Phase.CLOSED)
            self._server_handler(number, frame)

    def _begin_delay(self, number: int) -> None:
        logger.info("shutdown: signal=SIGTERM serving_for_s=%g readiness=failing", self._delay_s)
        if self._server_handler:
            self._loop.call_later(self._delay_s, self._stop_accepting, number, self._server_handler)

    def _stop_accepting(self, number: int, server_handler: Callable[[int, FrameType | None], object]) -> None:
        """Drop new connections, then stop the server once the accept queue is drained."""
        settle_s = SETTLE_S if ACCEPT_GATE.stop_accepting() else 0.0
        self._lifecycle.advance(Phase.CLOSED)
        self._loop.call_later(settle_s, server_handler, number, None)


class AcceptGate:
    """Listening socket of this process, if any: under `bentoml serve` the supervisor's is shared by all workers."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.closed_to_new = False

    def register(self, listening_socket: socket.socket) -> None:
        """Set the listening socket of this process."""
        self._socket = listening_socket.dup()

    @property
    def address(self) -> str | None:
        """Host and port of the listening socket, as in a URL."""
        if self._socket is None:
            return None
        host, port = self._socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def stop_accepting(self) -> bool:
        """Return True if new connections are now dropped.

        Clients retransmit the SYN after a second and are refused once the socket is closed.
        """
        if self._socket is None:
            return False
        with self._socket:
            self.closed_to_new = _set_min_ttl(self._socket, _MAX_TTL)
        self._socket = None
        return self.closed_to_new


ACCEPT_GATE = AcceptGate()


def restore_min_ttl(accepted: socket.socket) -> None:
    """Reset IP_MINTTL, which a connection half open during `stop_accepting` inherits; its client retransmits."""
    _set_min_ttl(accepted, 0)


def _set_min_ttl(target: socket.socket, ttl: int) -> bool:
    families = _MIN_TTL_OPTIONS[:1] if target.family == socket.AF_INET else _MIN_TTL_OPTIONS  # IPv6 may carry IPv4
    try:
        for level, option in families:
            target.setsockopt(level, option, ttl)
    except OSError as error:  # a sandbox, or another system than Linux
        logger.info("cannot set IP_MINTTL: connections may be reset at shutdown, reason=%s", error.strerror)
        return False
    return True
