"""What an operator asks: is it alive, is it ready, what does it count."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from service.http.exchange import Exchange


async def livez(request: Exchange) -> Response:
    """200 while the engine's threads are at work: not while one is stuck in a run, nor when one has died, nor when a
    model runs nothing any more."""
    state = request.headlight
    state.check_alive()
    return PlainTextResponse("ok\n")


async def readyz(request: Exchange) -> Response:
    """200 once warmed up and not leaving."""
    state = request.headlight
    state.check_ready()
    return PlainTextResponse("ok\n")


async def metrics(request: Exchange) -> Response:
    """Prometheus' text format."""
    state = request.headlight
    return Response(state.metrics.expose(), headers={"Content-Type": CONTENT_TYPE_LATEST})
