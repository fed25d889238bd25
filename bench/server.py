"""Server process, started as a user starts it."""

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
START_TIMEOUT_S = 120
"""Time by which a server must be ready."""
STOP_TIMEOUT_S = 60
"""Time after which a server that has not stopped is killed."""


class ServerError(RuntimeError):
    """Nothing can be measured over HTTP."""


@dataclass(frozen=True)
class ServerProcess:
    """A server that was ready."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def run_server(artifacts: Sequence[Path], **settings: object) -> Iterator[str]:
    """Run a server of these artifacts and yield its URL; `settings` are `HEADLIGHT_*` by lower-case name."""
    with run_server_command(
        ["-m", "service", "--host", "127.0.0.1"], server_environment(artifacts, settings)
    ) as server:
        yield server.url


def server_environment(artifacts: Sequence[Path], settings: Mapping[str, object]) -> dict[str, str]:
    """Return the environment of a server of `artifacts`. The drain time is 0: no load balancer checks readiness."""
    return {
        "HEADLIGHT_SHUTDOWN_DELAY_MS": "0",
        "HEADLIGHT_MODELS": json.dumps([str(path) for path in artifacts]),
        **{f"HEADLIGHT_{name.upper()}": str(value) for name, value in settings.items()},
    }


@contextmanager
def run_server_command(
    arguments: Sequence[str], variables: Mapping[str, str], *, folder: Path = ROOT, log: Path | None = None
) -> Iterator[ServerProcess]:
    """Run `python` with these arguments and `--port` in `folder`, yield the URL, and stop it with the context.

    What it says goes to `log`; if there is none, only what it says of errors is shown.
    """
    with ExitStack() as stack:
        port = stack.enter_context(_reserve_port())
        log_file = stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *arguments, "--port", str(port)],
            cwd=folder, env={**os.environ, "BENTOML_DO_NOT_TRACK": "True", **variables},
            stdout=log_file or subprocess.DEVNULL, stderr=log_file,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(url, process)
            stack.close()
            yield ServerProcess(url, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def _reserve_port() -> Iterator[int]:
    """Reserve a port that no other process gets meanwhile, and that a server can bind.

    On Linux two sockets may be bound to one port while no more than one of them listens, if both say so.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError("the server exited before it was ready")
        try:
            with urllib.request.urlopen(f"{url}/readyz"):  # noqa: S310  # loopback
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise ServerError("the server did not become ready")
