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

_HOPS = ((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))
"""Linux' IP_MINTTL and IPV6_MINHOPCOUNT, which Python does not name."""
_MOST = 255


class Listener:
    """This process' own, if it has one: `bentoml serve` has its supervisor's, which other workers listen on too."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.deaf = False

    def keep(self, bound: socket.socket) -> None:
        """This one is ours."""
        self._socket = bound.dup()

    def deafen(self) -> bool:
        """Does nobody new get in now? Whoever knocks will knock again in a second, and then be refused."""
        if self._socket is None:
            return False
        with self._socket:
            self.deaf = _ask_for_hops(self._socket, _MOST)
        self._socket = None
        return self.deaf


LISTENER = Listener()


def hear(accepted: socket.socket) -> None:
    """A connection that was half open when the listener became deaf has that from it; its packets come again."""
    _ask_for_hops(accepted, 0)


def _ask_for_hops(on: socket.socket, hops: int) -> bool:
    families = _HOPS[:1] if on.family == socket.AF_INET else _HOPS  # IPv6 may carry IPv4
    try:
        for level, option in families:
            on.setsockopt(level, option, hops)
    except OSError as error:  # a sandbox, or another system than Linux
        logger.info("who connects while the listener closes may be reset: %s", error.strerror)
        return False
    return True
