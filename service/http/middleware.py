"""ASGI middleware: CORS, and observability of every request by route template, never by path."""

import asyncio
import random
import re
import time
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.app_state import AppState
from service.http.error_responses import CLIENT_CLOSED_REQUEST
from service.ops.access_log import RequestRecord
from service.shutdown import Phase

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


UNMATCHED_ROUTE = "unmatched"

REQUEST_ID = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_CONNECTION_CLOSE = ((b"connection", b"close"),)
"""Header during shutdown: the connection is not kept alive."""


class TrailingSlashMiddleware:
    """ASGI middleware that serves `/path/` as `/path`: a redirect would be built from the Host header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/") and not scope["path"].endswith("//"):
            scope["path"] = scope["path"][:-1] or "/"
        await self._app(scope, receive, send)


class ObservabilityMiddleware:
    """ASGI middleware: one count, one duration, one line and one trace a request, and headers that say the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app: Starlette = scope["app"]
        state: AppState = app.state.headlight
        record = RequestRecord(scope["method"], _request_id(scope))
        scope_state = scope.setdefault("state", {})
        scope_state["record"] = record

        async def recording_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                record.response_started()
                is_closing = state.lifecycle.phase > Phase.READY
                headers = [*_response_headers(record), *(_CONNECTION_CLOSE if is_closing else ())]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        try:
            await self._app(scope, receive, recording_send)
        except asyncio.CancelledError:  # the server stops, and the grace period is over
            record.status = record.status or CLIENT_CLOSED_REQUEST
            raise
        finally:
            _record_request(state, scope, record)


def _record_request(state: AppState, scope: Scope, record: RequestRecord) -> None:
    route = scope.get("route")  # the mount of an outer server, if no route matched
    scope_state = scope["state"]
    record.finished_at = time.monotonic()
    # If the protocol rejected the connection, the client got that error, whatever the app returned.
    if rejection := scope_state.get("rejection"):
        record.status, record.error_code = rejection.status, rejection.code
    record.status = record.status or HTTPStatus.INTERNAL_SERVER_ERROR
    record.route = route.path if isinstance(route, Route) else UNMATCHED_ROUTE
    state.metrics.requests_total(record.route, record.model, str(record.status), record.error_code).inc()
    state.metrics.request_seconds(record.route).observe(record.finished_at - record.received_at)
    if record.is_probe and record.status < HTTPStatus.BAD_REQUEST:
        return
    if state.access_log:
        state.access_log.add(record)
    if state.tracing:
        state.tracing.record(record, dict(scope["headers"]))


def _request_id(scope: Scope) -> bytes:
    """Return the client's request id if it is safe to log, otherwise a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % random.getrandbits(128)  # need not be secret, and takes no system call


def _response_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    stages = ", ".join(f"{name};dur={duration_ms}" for name, duration_ms in record.stages_ms.items())
    timing = [(b"server-timing", stages.encode())] if stages else []
    return [(REQUEST_ID, record.request_id), *timing]
