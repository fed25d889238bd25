"""Liveness, readiness, and metrics."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from service.http.request import HttpRequest


async def livez(request: HttpRequest) -> Response:
    """200 while the engine's threads are at work: not while one is stuck in a run, nor when one has died, nor when a
    model runs nothing any more."""
    state = request.app_state
    state.check_alive()
    return PlainTextResponse("ok\n")


async def readyz(request: HttpRequest) -> Response:
    """200 once warmed up and not leaving."""
    state = request.app_state
    state.check_ready()
    return PlainTextResponse("ok\n")


async def metrics(request: HttpRequest) -> Response:
    """Prometheus' text format."""
    state = request.app_state
    return Response(state.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
