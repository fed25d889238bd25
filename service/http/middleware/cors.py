"""CORS: no other origin may send requests unless configured."""

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.bootstrap import AppState

EXPOSED_HEADERS = ("x-request-id", "server-timing", "retry-after")


class LazyCorsMiddleware:
    """ASGI middleware that asks the settings when the first request comes: they are read when the app starts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._delegate: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._delegate is None:
            self._delegate = self._create_delegate(scope["app"])
        await self._delegate(scope, receive, send)

    def _create_delegate(self, app: Starlette) -> ASGIApp:
        state: AppState = app.state.headlight
        origins = state.settings.cors_origins
        if not origins:
            return self._app
        return CORSMiddleware(
            self._app, allow_origins=origins, allow_methods=("GET", "POST"), allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )  # fmt: skip
