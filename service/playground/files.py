"""The page's own files. What a URL names is looked up among them, and never opened."""

from importlib.resources import files
from typing import Final

from starlette.responses import Response

from service.errors import NotFound
from service.http.exchange import Exchange
from service.playground.content import Content

INDEX = "index.html"
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

FILES: Final = {
    found.name: Content(found.read_bytes(), _MEDIA_TYPES[found.name.rpartition(".")[2]])
    for found in files(__package__).joinpath("page").iterdir()
    if found.name.rpartition(".")[2] in _MEDIA_TYPES
}


async def index(request: Exchange) -> Response:
    """The page."""
    return FILES[INDEX].answer(request)


async def file(request: Exchange) -> Response:
    """One of the files that it loads. Raises NotFound."""
    found = FILES.get(request.path_params["file"])
    if found is None:
        raise NotFound("no such file")
    return found.answer(request)
