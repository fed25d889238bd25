"""What operators and readers ask: health, metrics, documentation, the playground."""

from service.http.described import ErrorResponse
from service.http.endpoints import Dialect, Endpoint
from service.operations import documentation, health
from service.playground import ENDPOINTS as PLAYGROUND

_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_HTML = {"text/html": {"schema": {"type": "string"}}}

OPERATIONS = Dialect(
    "Operations",
    (
        Endpoint("GET", "/livez", health.livez, "Is the engine at work?", content=_TEXT, keyless=True, probe=True),
        Endpoint("GET", "/readyz", health.readyz, "Are the models warmed up, and not draining?", content=_TEXT,
                 keyless=True, probe=True),
        Endpoint("GET", "/metrics", health.metrics, "Prometheus metrics", content=_TEXT, keyless=True, probe=True),
        Endpoint("GET", "/openapi.json", documentation.openapi, "This document", keyless=True),
        Endpoint("GET", "/docs", documentation.page, "This document, to look at", content=_HTML, keyless=True),
        *PLAYGROUND,
    ),
    ErrorResponse,
)  # fmt: skip
