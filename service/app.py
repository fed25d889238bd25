"""The ASGI app: routes, error handlers and the lifespan that opens and closes the models.

Complete without BentoML: any ASGI server can run `create_app()`, and the tests do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from service.errors import HeadlightError
from service.routes import documentation, openai, operations, problems
from service.routes.accounting import Accounting
from service.settings import Settings
from service.state import State


def create_app(settings: Settings | None = None) -> Starlette:
    """Build the app. Settings are read from the environment when it starts, unless given."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.headlight = State.open(settings or Settings())
        try:
            yield
        finally:
            # On a thread: what is still queued answers through the event loop.
            await asyncio.to_thread(app.state.headlight.close)

    app = Starlette(
        routes=[
            Route("/v1/embeddings", openai.embeddings, methods=["POST"]),
            Route("/embeddings", openai.embeddings, methods=["POST"]),
            Route("/v1/models", openai.models, methods=["GET"]),
            Route("/livez", operations.livez, methods=["GET"]),
            Route("/readyz", operations.readyz, methods=["GET"]),
            Route("/metrics", operations.metrics, methods=["GET"]),
            Route("/openapi.json", documentation.openapi, methods=["GET"]),
            Route("/docs", documentation.page, methods=["GET"]),
        ],
        middleware=[Middleware(Accounting)],
        exception_handlers={
            HeadlightError: problems.handle_headlight_error,
            ClientDisconnect: problems.handle_disconnect,
            HTTPException: problems.handle_http_exception,
            Exception: problems.handle_fault,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would be made of the Host header
    return app
