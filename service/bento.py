"""The outermost room: the BentoML service. BentoML gives lifecycle, workers and builds; the app answers.

The app stands in front of BentoML's and leaves it its own paths. Behind it, each request would pass BentoML's
tracing, timer and context (0.4 ms of a processor each, and a timer that is kept for the length of its timeout), and
BentoML would answer health, unknown paths and methods itself, in another shape.
"""

import contextlib
import logging
from typing import Any

import bentoml
import uvicorn.config
from _bentoml_sdk import Service  # the type behind bentoml.service, which takes a subclass of it
from starlette.types import ASGIApp, Receive, Scope, Send

from service.accesslog import to_stdout
from service.app import create_app
from service.dialects import native
from service.leaving import Leaving
from service.process import count_in_memory, tune
from service.state import State
from service.wire.pace import PACE

THEIR_PATHS = frozenset({"/docs.json", "/schema.json"})

# BentoML's worker imports this module, then makes its uvicorn.Config and leaves the protocol to it: so this is the one
# place to choose it, for `bentoml serve` too.
uvicorn.config.HTTP_PROTOCOLS["auto"] = "service.wire.protocol:BoundedProtocol"

application = create_app()


class Front:
    """Every request goes to the app, save those that are BentoML's to answer; the server's own events are BentoML's."""

    def __init__(self, theirs: ASGIApp, their_paths: frozenset[str]) -> None:
        self._theirs = theirs
        self._their_paths = their_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"] not in self._their_paths
        await (application if ours else self._theirs)(scope, receive, send)


class Fronted(Service[Any]):
    """A BentoML service with the app in front."""

    def to_asgi(self, is_main: bool = True) -> Front:
        """What the worker serves."""
        return Front(super().to_asgi(is_main), THEIR_PATHS)


@bentoml.service(
    name="headlight",
    service_class=Fronted,
    workers=1,  # one process owns the processors; scale by containers
    metrics={"enabled": False},  # BentoML's label by raw path and grow without bound
    logging={"access": {"enabled": False}},
)
class Headlight:
    """Opens the app's models when the worker starts and drains them when it stops."""

    def __init__(self) -> None:
        self._running = contextlib.AsyncExitStack()

    @bentoml.on_startup
    async def start(self) -> None:
        _log_with_bentoml()
        to_stdout()
        count_in_memory()
        await self._running.enter_async_context(application.router.lifespan_context(application))
        tune()
        state: State = application.state.headlight
        state.metrics.watch_garbage_collector()
        PACE.timeout_s = state.settings.read_timeout_ms / 1_000
        Leaving(state, state.settings.drain_ms / 1_000).install()

    @bentoml.api
    async def encode(
        self, texts: list[str], model: str | None = None, dimensions: int | None = None
    ) -> list[list[float]]:
        """Embed texts. Over HTTP the app answers by this description; this is for services in the same process."""
        return await native.encoded(application.state.headlight, texts, model, dimensions)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        await self._running.aclose()


def _log_with_bentoml() -> None:
    """Send our log where BentoML sends its own: it configures no logger but its own."""
    theirs, ours = logging.getLogger("bentoml"), logging.getLogger("service")
    ours.handlers = theirs.handlers
    ours.setLevel(theirs.level)
    ours.propagate = False
