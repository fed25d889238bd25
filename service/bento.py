"""The outermost room: the BentoML service. BentoML gives lifecycle, workers and builds; the app answers.

The app is mounted behind a plain function: BentoML looks into a Starlette app's routes and would answer unknown
paths and methods itself, in another shape. Its health routes come before any mount, so a middleware is in front.
"""

import contextlib
import logging
from typing import Any, cast

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from service.app import create_app

HEALTH_PATHS = ("/livez", "/readyz", "/healthz")

application = create_app()


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything that is not BentoML's own."""
    await application(scope, receive, send)


class HealthInFront:
    """Lets the app answer the paths that BentoML would answer before it, in our shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"] in HEALTH_PATHS
        await (application if ours else self._app)(scope, receive, send)


@bentoml.service(
    name="headlight",
    workers=1,  # one process owns the processors; scale by containers
    traffic={"timeout": 3600},  # the engine has deadlines of its own, with a typed answer
    metrics={"enabled": False},  # BentoML's label by raw path and grow without bound
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(mounted, path="/")
class Headlight:
    """Opens the app's models when the worker starts and drains them when it stops."""

    def __init__(self) -> None:
        self._running = contextlib.AsyncExitStack()

    @bentoml.on_startup
    async def start(self) -> None:
        _log_with_bentoml()
        await self._running.enter_async_context(application.router.lifespan_context(application))

    @bentoml.on_shutdown
    async def stop(self) -> None:
        await self._running.aclose()


def _log_with_bentoml() -> None:
    """Send our log where BentoML sends its own: it configures no logger but its own."""
    theirs, ours = logging.getLogger("bentoml"), logging.getLogger("service")
    ours.handlers = theirs.handlers
    ours.setLevel(theirs.level)
    ours.propagate = False


cast("Any", Headlight).add_asgi_middleware(HealthInFront)  # the decorator made a Service of the class
