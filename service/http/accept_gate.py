"""Draining of the accept queue: the listening socket drops new connections before it is closed.

Established connections wait in the accept queue until the event loop accepts them. Closing the socket resets those
still in the queue: 12 to 24 of 24 clients that connect as fast as they can. So before closing the socket we set
IP_MINTTL=255: the kernel drops new SYNs while the accept queue drains.

IP_MINTTL drops packets whose TTL is lower (RFC 5082). Hosts send with a TTL of 64 or 128, so that 255 excludes all of
them. A packet filter would do the same, but needs capabilities that a container does not have.
"""

import logging
import socket

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""Delay from dropping SYNs to closing: the queue drains, and requests one round trip behind arrive."""

_MIN_TTL_OPTIONS = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
"""Linux' IP_MINTTL and IPV6_MINHOPCOUNT, for which Python has no constants."""
_MAX_TTL = 255


class AcceptGate:
    """Listening socket of this process, if any: under `bentoml serve` the supervisor's is shared by all workers."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.closed_to_new = False

    def register(self, listening_socket: socket.socket) -> None:
        """Set the listening socket of this process."""
        self._socket = listening_socket.dup()

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
        logger.info("cannot set IP_MINTTL (%s): connections opened during shutdown may be reset", error.strerror)
        return False
    return True
