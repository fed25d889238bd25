"""Readiness check for `HEALTHCHECK`: `python service/ops/healthcheck.py [ARGUMENTS]` exits with 0 if ready.

Host, port and TLS options are those of ARGUMENTS if given, otherwise of the container's first process.
Each check starts a Python process, so imports are minimal: 30 ms of CPU time, 70 with an HTTP client.
"""

import socket
import sys
from collections.abc import Sequence

TIMEOUT_S = 2.0

PID1_CMDLINE = "/proc/1/cmdline"
"""`python3 -m service ...`, or an init with that behind it."""

LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
CERT_REQUIRED = "2"
"""Certificates: `ssl.CERT_REQUIRED`."""


def is_ready(arguments: Sequence[str]) -> bool:
    """Return True if /readyz returns 200.

    If the server requires client certificates, only check that it listens, which it does after warm-up.
    """
    host = _option(arguments, "--host", "127.0.0.1")
    try:
        with socket.create_connection(
            (LOOPBACK_OF_WILDCARD.get(host, host), int(_option(arguments, "--port", "3000"))), TIMEOUT_S
        ) as connection:
            if not _option(arguments, "--ssl-certfile", ""):
                return _readyz_is_ok(connection)
            if _option(arguments, "--ssl-cert-reqs", "") == CERT_REQUIRED:
                return True
            with _wrap_tls(connection) as tls_connection:
                return _readyz_is_ok(tls_connection)
    except (OSError, ValueError):
        return False


def _readyz_is_ok(connection: socket.socket) -> bool:
    connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return connection.recv(64).startswith(b"HTTP/1.1 200 ")


def _wrap_tls(connection: socket.socket) -> socket.socket:
    """Wrap in TLS without verifying the certificate: it is the container's own, for another host name."""
    import ssl  # imported here: it takes as long as all the rest

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def _option(arguments: Sequence[str], name: str, default: str) -> str:
    """Return the last value of that option, as `--name value` or `--name=value`."""
    value = default
    for argument, next_argument in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == name:
            value = next_argument
        elif argument.startswith(f"{name}="):
            value = argument.removeprefix(f"{name}=")
    return value


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(not is_ready(sys.argv[1:]))
    with open(PID1_CMDLINE, encoding="utf-8") as first:  # pathlib takes a third of the time
        sys.exit(not is_ready(first.read().split("\0")))
