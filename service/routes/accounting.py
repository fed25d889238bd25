"""Counting and timing of every request, by route template: a made-up path is counted as no route at all."""

import time

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.state import State

UNMATCHED = "unmatched"


class Accounting:
    """ASGI middleware: one count and one duration a request; once it leaves, a server keeps no connection after it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        app: Starlette = scope["app"]
        state: State = app.state.headlight
        status = 500

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if state.leaving:
                    message.setdefault("headers", []).append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            _count(state, scope, status, time.monotonic() - began)


def _count(state: State, scope: Scope, status: int, took_s: float) -> None:
    matched = scope.get("route")  # an outer server's mount, when nothing of ours matched
    route = matched.path if isinstance(matched, Route) else UNMATCHED
    model = scope.get("state", {}).get("model", "")
    state.metrics.answered(route, model, str(status)).inc()
    state.metrics.request_seconds.labels(route).observe(took_s)
