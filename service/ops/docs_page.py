"""The page `/docs`: Swagger UI over the OpenAPI document, with "try it out" for every example.

Swagger UI is vendored (`swagger_ui/`, its version and digests in SOURCES), so that the page asks no other host.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from starlette.responses import Response

from service.errors import NotFound
from service.http.request import HttpRequest
from service.http.static_files import StaticAsset

VERSION: Final = "5.35.0"
SOURCES: Final = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""SHA-256 of the files that are copied from npm's swagger-ui-dist of that version."""

INDEX = "index.html"
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_CSP_SOURCES = {"style-src": "'self' 'unsafe-inline'"}  # Swagger UI sets style attributes


def _read_files() -> Mapping[str, StaticAsset]:
    return {
        file.name: StaticAsset(file.read_bytes(), _MEDIA_TYPES[suffix], _CSP_SOURCES)
        for file in files(__package__).joinpath("swagger_ui").iterdir()
        if (suffix := file.name.rpartition(".")[2]) in _MEDIA_TYPES
    }


FILES: Final = _read_files()


async def docs_page(request: HttpRequest) -> Response:
    """Return the page."""
    return FILES[INDEX].respond(request)


async def docs_file(request: HttpRequest) -> Response:
    """Return a file of the page. Raises NotFound."""
    asset = FILES.get(request.path_params["file"])
    if asset is None:
        raise NotFound("no such file")
    return asset.respond(request)
