"""What an operator asks: is it alive, is it ready, what does it count."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from service.state import State


async def livez(request: Request) -> Response:
    """200 while the engine's threads are at work: not while one is stuck in a run, nor when one has died, nor when a
    model runs nothing any more."""
    state: State = request.app.state.headlight
    state.check_alive()
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """200 once warmed up and not leaving."""
    state: State = request.app.state.headlight
    state.check_ready()
    return PlainTextResponse("ok\n")


async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    state: State = request.app.state.headlight
    return Response(state.metrics.expose(), headers={"Content-Type": CONTENT_TYPE_LATEST})
