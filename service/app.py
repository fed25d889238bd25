"""The ASGI app: routes, error handlers and the lifespan that opens and closes the models.

Complete without BentoML: any ASGI server can run `create_app()`, and the tests do.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from service.api import DIALECTS
from service.bootstrap import open_state
from service.http import error_responses
from service.http.endpoints import PathHandler, handle_unexpected_error
from service.http.middleware import LazyCorsMiddleware, ObservabilityMiddleware, TrailingSlashMiddleware
from service.ops.endpoints import OPERATIONS
from service.settings import Settings


def create_app(settings: Settings | None = None) -> Starlette:
    """Build the app. Settings are read from the environment when it starts, unless given."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.headlight = open_state(settings or Settings())
        try:
            yield
        finally:
            # On a thread: queued requests are completed through the event loop.
            await asyncio.to_thread(app.state.headlight.close)

    app = Starlette(
        routes=list(_routes()),
        # Responses to unexpected errors are created inside these, so that they are counted and have an id too.
        middleware=[
            Middleware(TrailingSlashMiddleware),
            Middleware(ObservabilityMiddleware),
            Middleware(LazyCorsMiddleware),
            Middleware(ServerErrorMiddleware, handler=handle_unexpected_error),
        ],
        exception_handlers={
            HTTPStatus.NOT_FOUND: error_responses.handle_not_found,
            ClientDisconnect: error_responses.handle_disconnect,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would be built from the Host header
    return app


def _routes() -> Iterator[Route]:
    """Yield one route per path, for the endpoints of all dialects at that path."""
    endpoints = [(dialect, endpoint) for dialect in (*DIALECTS, OPERATIONS) for endpoint in dialect.endpoints]
    for path in dict.fromkeys(endpoint.path for _, endpoint in endpoints):
        yield Route(path, PathHandler(each for each in endpoints if each[1].path == path))
