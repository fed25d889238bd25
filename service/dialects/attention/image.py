"""`POST /v1/attention/image`: attention as a picture that a person can read."""

import asyncio
import time
from functools import partial

from starlette.responses import Response

from models.preprocess.decoding import decode
from service.dialects.attention.image_request import AttentionImageOptions, AttentionImageRequest
from service.dialects.attention.shown import Shown
from service.dialects.inputs import is_image
from service.errors import DeadlineExceeded, InvalidParameter
from service.http import body
from service.http.asked import Image, Input, Item
from service.http.deadline import deadline_of
from service.http.embedding import embed
from service.http.exchange import Exchange
from service.http.inputs import file_bytes
from service.http.withdrawal import Watch
from service.pictures.page import png
from service.pictures.panels import TooManyPanels
from service.runtime.encoder import ImageEncoder
from service.state import State

PNG = "image/png"

TEXT_WIDTH_PX = 800
NARROWEST_PX, WIDEST_PX = 400, 2_000
"""Of a picture that is drawn as wide as it is."""


async def attention_image(request: Exchange) -> Response:
    """One text or image, with its attention over it, as a PNG."""
    options: AttentionImageOptions
    value: Input
    if is_image(request):
        options, value = AttentionImageOptions.from_query(request.query_params), Image(await body.read(request))
    else:
        options = found = await AttentionImageRequest.read(request)
        value = found.value()
    state = request.headlight
    deadline = deadline_of(request, state.settings.request_timeout_ms)
    (item,) = (await embed(request, options.asked(value))).items
    drawing = partial(_drawn, state, options, value, item, deadline)
    async with Watch(request):
        file = await asyncio.get_running_loop().run_in_executor(state.decoding, drawing)
    return Response(file, media_type=PNG)


def _drawn(state: State, options: AttentionImageOptions, value: Input, item: Item, deadline: float) -> bytes:
    """The PNG file. Not on the event loop: it takes up to seconds. Raises DeadlineExceeded or InvalidParameter."""
    if time.monotonic() > deadline:
        state.metrics.shed.labels("deadline").inc()
        raise DeadlineExceeded("the picture could not be drawn before the request's deadline")
    try:
        if isinstance(value, str):
            return png(Shown(options.attention, item, options.width_px or TEXT_WIDTH_PX).text(value))
        assert isinstance(value, Image)
        assert isinstance(item.encoder, ImageEncoder)
        file = file_bytes(value.file) if isinstance(value.file, str) else value.file
        # Decoded again rather than kept: while it waits in the queue it would be 75 MB.
        transparency = item.encoder.spec.transparency
        original = decode(file, max_pixels=state.settings.max_image_pixels, transparency=transparency)
        width_px = options.width_px or min(max(original.width, NARROWEST_PX), WIDEST_PX)
        return png(Shown(options.attention, item, width_px).picture(original))
    except TooManyPanels as error:
        raise InvalidParameter(f"{error}; choose some with layers and heads", "attention.layers") from None
