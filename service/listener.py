"""The socket that this process alone listens on, and how it takes nobody new without losing who has already come.

Whoever has connected waits in the kernel's queue until the event loop takes them. A socket that is closed with some in
its queue resets them, though they were told that they are connected: 12 to 24 of 24 clients that connect as fast as they
can. So before it is closed it is made deaf: the kernel drops those who knock, and the loop takes who is in.
"""

import ctypes
import logging
import socket
import struct

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""From deaf to closed: for who is connected to be taken, and for what they ask, which is a round trip behind, to come."""

_SO_ATTACH_FILTER = 26
_FLAGS_OFFSET, _SYN = 13, 0x02
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_DROP, _KEEP = 0, 0xFFFF_FFFF
_ONLY_WITHOUT_SYN = (
    (_LOAD_BYTE, 0, 0, _FLAGS_OFFSET),
    (_JUMP_IF_SET, 0, 1, _SYN),
    (_RETURN, 0, 0, _DROP),
    (_RETURN, 0, 0, _KEEP),
)
"""Linux' classic packet filter, over a TCP header: what opens a connection is dropped, and what ends the opening of one
that had begun is not. Connections inherit it, whose packets have no SYN."""

_own: socket.socket | None = None


def keep(bound: socket.socket) -> None:
    """This is ours to make deaf. A supervisor's is not: its other workers listen on it."""
    global _own
    _own = bound.dup()


def deafen() -> bool:
    """Is it ours, and nobody new gets in now? Whoever knocks will knock again in a second, and then be refused."""
    if _own is None:
        return False
    program = b"".join(struct.pack("=HBBI", *step) for step in _ONLY_WITHOUT_SYN)
    buffer = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("@HP", len(_ONLY_WITHOUT_SYN), ctypes.addressof(buffer))
    try:
        _own.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
    except OSError as error:  # a sandbox that knows no filters, or another system than Linux
        logger.info("who connects while the listener closes may be reset: %s", error.strerror)
        return False
    finally:
        _own.close()
    return True
