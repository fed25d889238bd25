"""A real server in a process of its own: `bentoml serve`, as a user starts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import ROOT, environment, running


@dataclass(frozen=True)
class Server:
    url: str


@contextmanager
def serve(
    *artifacts: Path, service: str = "service.bento:Headlight", folder: Path = ROOT, **settings: object
) -> Iterator[Server]:
    """Serve `artifacts` on a free port of the loopback; `settings` are `HEADLIGHT_*` by lower-case name.

    `service` is what `bentoml serve` is told to serve, from `folder`.
    """
    command = ["-m", "bentoml", "serve", service]
    with running(command, environment(artifacts, settings), folder=folder) as url:
        yield Server(url)
