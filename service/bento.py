"""The outermost room: the BentoML service. BentoML gives lifecycle, workers, health and builds; the app answers.

The app is mounted behind a plain function: BentoML looks into a Starlette app's routes and would answer unknown
paths and methods itself, in another shape.
"""

import contextlib

import bentoml
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.state import State

application = create_app()


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything that is not BentoML's own."""
    await application(scope, receive, send)


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
        await self._running.enter_async_context(application.router.lifespan_context(application))

    @bentoml.on_shutdown
    async def stop(self) -> None:
        await self._running.aclose()

    async def __is_alive__(self) -> bool:
        return self._state.engine.alive

    async def __is_ready__(self) -> bool:
        return self._state.ready

    @property
    def _state(self) -> State:
        state: State = application.state.headlight
        return state
