"""The socket that this process alone listens on, and how it takes nobody new without losing who has already come.

Whoever has connected waits in the kernel's queue until the event loop takes them. A socket that is closed with some in
its queue resets them, though they were told that they are connected: 12 to 24 of 24 clients that connect as fast as
they can. So before it is closed it is made deaf: the kernel drops those who knock, and the loop takes who is in.

Deaf is a socket that takes only what comes from no further than this machine's own link, by the hops that a packet has
left (RFC 5082). Packets are sent with 64 of them, or 128, and 255 are asked for. A packet filter would do the same, but
takes capabilities that a container has not.
"""

import logging
import socket

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""From deaf to closed: for who is connected to be taken, and for what they ask, a round trip behind, to come."""

_MIN_TTL_OPTIONS = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
"""Linux' IP_MINTTL and IPV6_MINHOPCOUNT, which Python does not name."""
_MAX_TTL = 255


class AcceptGate:
    """This process' own, if it has one: `bentoml serve` has its supervisor's, which other workers listen on too."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.closed_to_new = False

    def register(self, listening_socket: socket.socket) -> None:
        """This one is ours."""
        self._socket = listening_socket.dup()

    def stop_accepting(self) -> bool:
        """Does nobody new get in now? Whoever knocks will knock again in a second, and then be refused."""
        if self._socket is None:
            return False
        with self._socket:
            self.closed_to_new = _set_min_ttl(self._socket, _MAX_TTL)
        self._socket = None
        return self.closed_to_new


ACCEPT_GATE = AcceptGate()


def restore_min_ttl(accepted: socket.socket) -> None:
    """A connection that was half open when the listener became deaf has that from it; its packets come again."""
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
