"""Is the server in this container ready? Ends with 0 if so: `python service/probe.py [ARGUMENTS]`, for `HEALTHCHECK`.

Where it listens and whether by TLS is what the container's first process was told, unless told here in the same words.
Each look starts a Python of its own, so this imports next to nothing: 30 ms of a processor, 70 with an HTTP client.
"""

import socket
import sys
from collections.abc import Sequence

TIMEOUT_S = 2.0

FIRST_PROCESS = "/proc/1/cmdline"
"""`python3 -m service ...`, or an init with that behind it."""

ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
CLIENT_MUST_SHOW_ONE = "2"
"""Certificates: `ssl.CERT_REQUIRED`."""


def ready(arguments: Sequence[str]) -> bool:
    """Does /readyz answer 200? Who has no certificate to show sees only that it listens, which is when models are
    warmed up.
    """
    host = _told(arguments, "--host", "127.0.0.1")
    try:
        with socket.create_connection(
            (ANY.get(host, host), int(_told(arguments, "--port", "3000"))), TIMEOUT_S
        ) as made:
            if not _told(arguments, "--ssl-certfile", ""):
                return _is_ready(made)
            if _told(arguments, "--ssl-cert-reqs", "") == CLIENT_MUST_SHOW_ONE:
                return True
            with _secured(made) as secured:
                return _is_ready(secured)
    except (OSError, ValueError):
        return False


def _is_ready(connection: socket.socket) -> bool:
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return connection.recv(64).startswith(b"HTTP/1.1 200 ")


def _secured(connection: socket.socket) -> socket.socket:
    """By TLS with whatever certificate: it is this container's own, and for another name than this."""
    import ssl  # which takes as long as all the rest

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def _told(arguments: Sequence[str], name: str, default: str) -> str:
    """The last value of that option, as `--name value` or `--name=value`."""
    found = default
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == name:
            found = following
        elif argument.startswith(f"{name}="):
            found = argument.removeprefix(f"{name}=")
    return found


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(not ready(sys.argv[1:]))
    with open(FIRST_PROCESS, encoding="utf-8") as first:  # pathlib takes a third of the time
        sys.exit(not ready(first.read().split("\0")))
