"""BentoML worker in this process, without the supervisor of `bentoml serve`."""

import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

from _bentoml_impl.worker.service import main as work

from service.http.accept_gate import ACCEPT_GATE

SERVICE = "service.bento:Headlight"


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to that address. Raises OSError on failure.

    The socket does not listen: uvicorn calls listen() after warm-up, so early connections are refused, not queued.
    """
    family, socket_type, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening_socket = socket.socket(family, socket_type, protocol)
    listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening_socket.bind(address)
    return listening_socket


def serve(listening_socket: socket.socket, options: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT; `options` are passed to the BentoML worker.

    On shutdown uvicorn raises the captured signal again; the handler installed here turns that into exit code 0.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    ACCEPT_GATE.register(listening_socket)
    work.main([SERVICE, "--fd", str(listening_socket.detach()), *options], standalone_mode=False)


def _exit_cleanly(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
