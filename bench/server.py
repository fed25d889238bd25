"""A server in a process of its own, as a user starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_S = 120
"""A server that is not ready by then has failed, """
STOP_S = 60
"""and one that has not stopped by then is ended."""


class ServerFailed(RuntimeError):
    """Nothing can be measured over HTTP."""


@dataclass(frozen=True)
class Running:
    """A server that was ready."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def running_server(artifacts: Sequence[Path], **settings: object) -> Iterator[str]:
    """The URL of a running server of these artifacts; `settings` are `HEADLIGHT_*` by lower-case name."""
    with running(["-m", "service", "--host", "127.0.0.1"], environment(artifacts, settings)) as server:
        yield server.url


def environment(artifacts: Sequence[Path], settings: Mapping[str, object]) -> dict[str, str]:
    """How a server is told what to serve, and to leave at once: nobody looks whether it is ready."""
    return {
        "HEADLIGHT_DRAIN_MS": "0",
        "HEADLIGHT_MODELS": json.dumps([str(path) for path in artifacts]),
        **{f"HEADLIGHT_{name.upper()}": str(value) for name, value in settings.items()},
    }


@contextmanager
def running(
    arguments: Sequence[str], variables: Mapping[str, str], *, folder: Path = ROOT, log: Path | None = None
) -> Iterator[Running]:
    """What `python` serves with these arguments and `--port`, in `folder`. It ends with the context.

    What it says goes to `log`; if there is none, only what it says of errors is shown.
    """
    with ExitStack() as starting:
        port = starting.enter_context(_reserved_port())
        told = starting.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *arguments, "--port", str(port)],
            cwd=folder, env={**os.environ, "BENTOML_DO_NOT_TRACK": "True", **variables},
            stdout=told or subprocess.DEVNULL, stderr=told,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process)
            starting.close()
            yield Running(url, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that is given to nobody else meanwhile who asks for any, and that a server can have.

    On Linux two sockets may be bound to one port while no more than one of them listens, if both say so.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise ServerFailed("the server ended before it was ready")
        try:
            with urllib.request.urlopen(f"{url}/readyz"):  # noqa: S310  # loopback
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise ServerFailed("the server did not become ready")
