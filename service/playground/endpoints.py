"""Playground: a page that shows embeddings and their attention, with example scenes.

The page consists of files that are read when the service starts; it uses the API as any client does.
"""

import asyncio
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

import numpy as np
import orjson
from PIL import Image
from starlette.responses import Response

from models.scenes.description import draw_descriptions
from models.scenes.rendering import Scene, render_scene
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


SCENE_COUNT, SIDE_PX = 20, 160
SEED = 11
"""Seed whose scenes cover every shape and every texture."""

PATH = "playground/scenes/{}.png"
"""Path of the scenes relative to the page, which may stand behind a proxy's prefix."""


async def scenes(request: HttpRequest) -> Response:
    """List the scenes: captions, and the paths of the images."""
    return (await _rendered_scenes_async())[0].respond(request)


async def scene_image(request: HttpRequest) -> Response:
    """One of them. Raises NotFound."""
    asset = (await _rendered_scenes_async())[1].get(request.path_params["scene"])
    if asset is None:
        raise NotFound("no such scene")
    return asset.respond(request)


@cache
def rendered_scenes() -> tuple[StaticAsset, dict[str, StaticAsset]]:
    """Return the list and the images by the last part of their paths: drawn once, in about a fifth of a second."""
    rng = np.random.default_rng(SEED)
    rendered = [
        render_scene(description, rng, side_px=SIDE_PX) for description in draw_descriptions(rng, SCENE_COUNT, "unseen")
    ]
    entries = [
        {"url": PATH.format(i), "caption": scene.description.caption, "width_px": SIDE_PX, "height_px": SIDE_PX}
        for i, scene in enumerate(rendered)
    ]
    scene_list = StaticAsset(orjson.dumps({"object": "list", "data": entries}), "application/json")
    return scene_list, {f"{i}.png": StaticAsset(_png(scene), "image/png") for i, scene in enumerate(rendered)}


async def _rendered_scenes_async() -> tuple[StaticAsset, dict[str, StaticAsset]]:
    """On a thread: drawing takes longer than the event loop may be held up."""
    return await asyncio.to_thread(rendered_scenes)


def _png(scene: Scene) -> bytes:
    file = BytesIO()
    Image.fromarray(scene.pixels).save(file, "PNG")
    return file.getvalue()


_HTML = {"text/html": {"schema": {"type": "string"}}}
_FILE = {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript", "image/svg+xml")}
_PNG = {"image/png": {"schema": {"type": "string", "format": "binary"}}}

ENDPOINTS = (
    Endpoint("GET", "/", index, "Playground page", response_content=_HTML, public=True),
    Endpoint("GET", "/playground/scenes", scenes, "Example scenes with captions", public=True),
    Endpoint("GET", "/playground/scenes/{scene}", scene_image, "Scene image", response_content=_PNG, public=True),
    Endpoint("GET", "/playground/{file}", static_file, "Playground static files", response_content=_FILE, public=True),
)
