"""A real server in a process of its own, as a user starts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.server import ROOT, environment, running
from bench.server import Running as Server

__all__ = ["Server", "serve"]


@contextmanager
def serve(
    *artifacts: Path, service: str | None = None, folder: Path = ROOT, log: Path | None = None, **settings: object
) -> Iterator[Server]:
    """Serve `artifacts` on a free port of the loopback; `settings` are `HEADLIGHT_*` by lower-case name.

    `python -m service` serves, or `bentoml serve` what `service` names, from `folder`.
    """
    command = ["-m", "service"] if service is None else ["-m", "bentoml", "serve", service]
    with running(command, environment(artifacts, settings), folder=folder, log=log) as server:
        yield server
