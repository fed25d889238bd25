"""A real server in a process of its own: `bentoml serve`, as a user starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
START_S = 60
STOP_S = 30


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def serve(
    *artifacts: Path, service: str = "service.bento:Headlight", folder: Path = ROOT, **settings: object
) -> Iterator[Server]:
    """Serve `artifacts` on a free port of the loopback; `settings` are `HEADLIGHT_*` by lower-case name.

    `service` is what `bentoml serve` is told to serve, from `folder`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "BENTOML_DO_NOT_TRACK": "True",
        "HEADLIGHT_MODELS": json.dumps([str(path) for path in artifacts]),
        **{f"HEADLIGHT_{name.upper()}": str(value) for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "bentoml", "serve", service, "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        running = Server(f"http://127.0.0.1:{port}", process)
        _wait_until_ready(running)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait_until_ready(server: Server) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up:
        assert server.process.poll() is None, "the server ended before it was ready"
        try:
            if httpx.get(f"{server.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server did not become ready")
