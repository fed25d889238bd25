"""Counting, timing, logging and tracing of every request, by route template: a made-up path is no route at all.

Of a request's content nothing is told anywhere but in its answer.
"""

import asyncio
import random
import re
import time
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answered import Answered
from service.http.problems import CLIENT_CLOSED_REQUEST
from service.state import State

UNMATCHED = "unmatched"

REQUEST_ID = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

_LAST = ((b"connection", b"close"),)
"""Of a server that leaves: no connection is kept for a next request."""


class Accounting:
    """ASGI middleware: one count, one duration, one line and one trace a request, and headers that say the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app: Starlette = scope["app"]
        state: State = app.state.headlight
        answered = Answered(scope["method"], _request_id(scope))
        told = scope.setdefault("state", {})
        told["answered"] = answered

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.begun()
                headers = [*_headers(answered), *(_LAST if state.leaving else ())]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:  # the server ends, and has waited long enough
            answered.status = answered.status or CLIENT_CLOSED_REQUEST
            raise
        finally:
            _account(state, scope, answered)


def _account(state: State, scope: Scope, answered: Answered) -> None:
    matched = scope.get("route")  # an outer server's mount, when nothing of ours matched
    told = scope["state"]
    answered.ended = time.monotonic()
    # What the connection was refused with is what the client got, whatever the app made of its leaving.
    answered.status = told.get("refused") or answered.status or HTTPStatus.INTERNAL_SERVER_ERROR
    answered.route = matched.path if isinstance(matched, Route) else UNMATCHED
    state.metrics.answered(answered.route, answered.model, str(answered.status)).inc()
    state.metrics.request_seconds(answered.route).observe(answered.ended - answered.came)
    if answered.probe and answered.status < HTTPStatus.BAD_REQUEST:
        return
    if state.access_log:
        state.access_log.add(answered)
    if state.tracing:
        state.tracing.record(answered, dict(scope["headers"]))


def _request_id(scope: Scope) -> bytes:
    """The client's own, if it is one that can be logged as it is."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"%032x" % random.getrandbits(128)  # no secret, and no system call


def _headers(answered: Answered) -> list[tuple[bytes, bytes]]:
    stages = ", ".join(f"{name};dur={took}" for name, took in answered.stages_ms.items())
    timing = [(b"server-timing", stages.encode())] if stages else []
    return [(REQUEST_ID, answered.request_id), *timing]
