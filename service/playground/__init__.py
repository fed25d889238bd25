"""Playground: a page that shows embeddings and their attention, with example scenes.

The page is files that are read when the service starts; what it shows, it asks of the API as any client does.
"""

from service.http.endpoints import Endpoint
from service.playground.example_scenes import scene_image, scenes
from service.playground.page_files import index, static_file

_HTML = {"text/html": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "image/svg+xml")}
_PNG = {"image/png": {"schema": {"type": "string", "format": "binary"}}}

ENDPOINTS = (
    Endpoint("GET", "/", index, "Playground page", response_content=_HTML, public=True),
    Endpoint("GET", "/playground/scenes", scenes, "Example scenes with captions", public=True),
    Endpoint("GET", "/playground/scenes/{scene}", scene_image, "Scene image", response_content=_PNG, public=True),
    Endpoint("GET", "/playground/{file}", static_file, "Playground static files", response_content=_FILE, public=True),
)
