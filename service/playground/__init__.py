"""A page to look at embeddings and the attention behind them, with scenes to try: asked of this server alone.

The page is files that are read when the service starts; what it shows, it asks of the API as any client does.
"""

from service.http.endpoints import Endpoint
from service.playground.files import file, index
from service.playground.scenes import picture, scenes

_HTML = {"text/html": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "image/svg+xml")}
_PNG = {"image/png": {"schema": {"type": "string", "format": "binary"}}}

ENDPOINTS = (
    Endpoint("GET", "/", index, "The playground: look at embeddings and attention", content=_HTML, keyless=True),
    Endpoint("GET", "/playground/scenes", scenes, "Drawn scenes to try, with captions", keyless=True),
    Endpoint("GET", "/playground/scenes/{scene}", picture, "One of them", content=_PNG, keyless=True),
    Endpoint("GET", "/playground/{file}", file, "What the playground's page is made of", content=_FILE, keyless=True),
)
