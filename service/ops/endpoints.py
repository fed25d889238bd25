"""Endpoints of operators: liveness, readiness, metrics, the OpenAPI document, and the pages /docs and /."""

from functools import cache

import orjson
from starlette.responses import PlainTextResponse, Response

from service.api import DIALECTS
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse
from service.http.request import HttpRequest
from service.ops import docs_page
from service.ops.openapi import JSON, build_openapi
from service.playground.endpoints import ENDPOINTS as PLAYGROUND


async def livez(request: HttpRequest) -> Response:
    """Return 200 while the engine is alive: no batch is stuck, no thread has died, and every model runs."""
    state = request.app_state
    state.check_alive()
    return PlainTextResponse("ok\n")


async def readyz(request: HttpRequest) -> Response:
    """Return 200 once all models are warmed up, and not during shutdown."""
    state = request.app_state
    state.check_ready()
    return PlainTextResponse("ok\n")


async def metrics(request: HttpRequest) -> Response:
    """Return the metrics in Prometheus' text format."""
    state = request.app_state
    body, content_type = state.metrics.render(request.header_values.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})


_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "text/html")}
_HTML = {"text/html": {"schema": {"type": "string"}}}


async def openapi(_request: HttpRequest) -> Response:
    """Return the OpenAPI document of all endpoints."""
    return Response(_openapi_json(), media_type=JSON)


@cache
def _openapi_json() -> bytes:
    return orjson.dumps(build_openapi((*DIALECTS, OPERATIONS)))


OPERATIONS = Dialect(
    "Operations",
    (
        Endpoint("GET", "/livez", livez, "Liveness", response_content=_TEXT, public=True, is_probe=True),
        Endpoint("GET", "/readyz", readyz, "Readiness", response_content=_TEXT,
                 public=True, is_probe=True),
        Endpoint("GET", "/metrics", metrics, "Prometheus metrics", response_content=_TEXT,
                 public=True, is_probe=True),
        Endpoint("GET", "/openapi.json", openapi, "OpenAPI document", public=True),
        Endpoint("GET", "/docs", docs_page.docs_page, "API documentation page", response_content=_HTML, public=True),
        Endpoint("GET", "/docs/{file}", docs_page.docs_file, "API documentation page: static files",
                 response_content=_FILE, public=True),
        *PLAYGROUND,
    ),
    ErrorResponse,
)  # fmt: skip
