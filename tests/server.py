"""Real server in its own process, as a user starts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.server import ROOT, run_server_command, server_environment
from bench.server import ServerProcess as Server

__all__ = ["Server", "serve"]


@contextmanager
def serve(
    *artifacts: Path, service: str | None = None, folder: Path = ROOT, log: Path | None = None, **settings: object
) -> Iterator[Server]:
    """Serve `artifacts` on a free port of the loopback; `settings` are `HEADLIGHT_*` by lower-case name.

    `python -m service` serves, or `bentoml serve` what `service` names, from `folder`.
    """
    command = ["-m", "service"] if service is None else ["-m", "bentoml", "serve", service]
    with run_server_command(command, server_environment(artifacts, settings), folder=folder, log=log) as server:
        yield server
