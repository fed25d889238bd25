"""Files of the page; a URL selects one of them and never opens a path."""

from importlib.resources import files
from typing import Final

from starlette.responses import Response

from service.errors import NotFound
from service.http.request import HttpRequest
from service.playground.static_asset import StaticAsset

INDEX = "index.html"
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

FILES: Final = {
    found.name: StaticAsset(found.read_bytes(), _MEDIA_TYPES[found.name.rpartition(".")[2]])
    for found in files(__package__).joinpath("page").iterdir()
    if found.name.rpartition(".")[2] in _MEDIA_TYPES
}


async def index(request: HttpRequest) -> Response:
    """Return the page."""
    return FILES[INDEX].respond(request)


async def static_file(request: HttpRequest) -> Response:
    """One of the files that it loads. Raises NotFound."""
    asset = FILES.get(request.path_params["file"])
    if asset is None:
        raise NotFound("no such file")
    return asset.respond(request)
