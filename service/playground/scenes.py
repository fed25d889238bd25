"""Scenes to try: drawn by `models.scenes` of captions that no model of ours was trained on, the same in every run."""

import asyncio
from functools import cache
from io import BytesIO

import numpy as np
import orjson
from PIL import Image
from starlette.responses import Response

from models.scenes.description import draw_distinct
from models.scenes.rendering import Scene, render
from service.errors import NotFound
from service.http.exchange import Exchange
from service.playground.content import Content

COUNT, SIDE_PX = 20, 160
SEED = 11
"""With this one they hold every shape and every texture."""

PATH = "playground/scenes/{}.png"
"""Relative to the page, which may stand behind a proxy's prefix."""


async def scenes(request: Exchange) -> Response:
    """Their list: captions, and where the pictures are."""
    return (await _made())[0].answer(request)


async def picture(request: Exchange) -> Response:
    """One of them. Raises NotFound."""
    found = (await _made())[1].get(request.path_params["scene"])
    if found is None:
        raise NotFound("no such scene")
    return found.answer(request)


@cache
def made() -> tuple[Content, dict[str, Content]]:
    """The list and the pictures by the last part of their paths: drawn once, in about a fifth of a second."""
    rng = np.random.default_rng(SEED)
    drawn = [render(of, rng, side_px=SIDE_PX) for of in draw_distinct(rng, COUNT, "unseen")]
    entries = [
        {"url": PATH.format(i), "caption": scene.description.caption, "width_px": SIDE_PX, "height_px": SIDE_PX}
        for i, scene in enumerate(drawn)
    ]
    listed = Content(orjson.dumps({"object": "list", "data": entries}), "application/json")
    return listed, {f"{i}.png": Content(_png(scene), "image/png") for i, scene in enumerate(drawn)}


async def _made() -> tuple[Content, dict[str, Content]]:
    """On a thread: drawing takes longer than the event loop may be held up."""
    return await asyncio.to_thread(made)


def _png(scene: Scene) -> bytes:
    file = BytesIO()
    Image.fromarray(scene.pixels).save(file, "PNG")
    return file.getvalue()
