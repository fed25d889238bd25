"""Endpoints of operators and readers: health, metrics, documentation, the playground."""

from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse
from service.ops import docs_page, health, openapi
from service.playground import ENDPOINTS as PLAYGROUND

_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "text/html")}
_HTML = {"text/html": {"schema": {"type": "string"}}}

OPERATIONS = Dialect(
    "Operations",
    (
        Endpoint("GET", "/livez", health.livez, "Liveness", response_content=_TEXT, public=True, is_probe=True),
        Endpoint("GET", "/readyz", health.readyz, "Readiness", response_content=_TEXT,
                 public=True, is_probe=True),
        Endpoint("GET", "/metrics", health.metrics, "Prometheus metrics", response_content=_TEXT,
                 public=True, is_probe=True),
        Endpoint("GET", "/openapi.json", openapi.openapi, "OpenAPI document", public=True),
        Endpoint("GET", "/docs", docs_page.docs_page, "API documentation page", response_content=_HTML, public=True),
        Endpoint("GET", "/docs/{file}", docs_page.docs_file, "API documentation page: static files",
                 response_content=_FILE, public=True),
        *PLAYGROUND,
    ),
    ErrorResponse,
)  # fmt: skip
