"""Playground: a page that shows embeddings and their attention, with example scenes.

The page consists of files that are read when the service starts; it uses the API as any client does.
"""

from importlib.resources import files
from io import BytesIO
from typing import Final

import orjson
from PIL import Image
from starlette.responses import Response

from service.errors import NotFound
from service.http.endpoints import Endpoint
from service.http.request import HttpRequest
from service.http.static_files import StaticAsset

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
    """Return a file of the page. Raises NotFound."""
    asset = FILES.get(request.path_params["file"])
    if asset is None:
        raise NotFound("no such file")
    return asset.respond(request)


def _read_scenes() -> tuple[StaticAsset, dict[str, StaticAsset]]:
    """Return the list of scenes, and the images by the last part of their paths."""
    folder = files(__package__).joinpath("scenes")
    captions: list[str] = orjson.loads(folder.joinpath("scenes.json").read_bytes())
    images = {f"{i}.webp": folder.joinpath(f"{i}.webp").read_bytes() for i in range(len(captions))}
    entries = []
    for caption, (name, content) in zip(captions, images.items(), strict=True):
        width_px, height_px = Image.open(BytesIO(content)).size
        entries.append({"url": PATH + name, "caption": caption, "width_px": width_px, "height_px": height_px})
    scene_list = StaticAsset(orjson.dumps({"object": "list", "data": entries}), "application/json")
    return scene_list, {name: StaticAsset(content, "image/webp") for name, content in images.items()}


PATH: Final = "playground/scenes/"
"""Path of the scenes relative to the page, which may stand behind a proxy's prefix."""

SCENE_LIST, SCENES = _read_scenes()


async def scenes(request: HttpRequest) -> Response:
    """List the scenes: captions, and the paths of the images."""
    return SCENE_LIST.respond(request)


async def scene_image(request: HttpRequest) -> Response:
    """Return the image of a scene. Raises NotFound."""
    asset = SCENES.get(request.path_params["scene"])
    if asset is None:
        raise NotFound("no such scene")
    return asset.respond(request)


_HTML = {"text/html": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "image/svg+xml")}
_WEBP = {"image/webp": {"schema": {"type": "string", "format": "binary"}}}

ENDPOINTS = (
    Endpoint("GET", "/", index, "Playground page", response_content=_HTML, public=True),
    Endpoint("GET", "/playground/scenes", scenes, "Example scenes with captions", public=True),
    Endpoint("GET", "/playground/scenes/{scene}", scene_image, "Scene image", response_content=_WEBP, public=True),
    Endpoint("GET", "/playground/{file}", static_file, "Playground static files", response_content=_FILE, public=True),
)
