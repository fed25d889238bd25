"""`POST /v1/attention/image`: attention drawn as an image."""

import asyncio
import time
from functools import partial

from starlette.responses import Response

from models.preprocess.image_decoding import decode_image
from service.api.attention.image_request import AttentionImageOptions, AttentionImageRequest
from service.api.attention.renderer import AttentionRenderer
from service.api.common.inputs import is_image
from service.bootstrap import AppState
from service.errors import DeadlineExceeded, InvalidParameter
from service.http import body
from service.http.request import CancelOnDisconnect, HttpRequest, request_deadline
from service.pipeline.embed import embed_http
from service.pipeline.preprocess import decode_base64_image
from service.pipeline.types import EmbeddingOutput, Image, Input
from service.runtime.encoder import ImageEncoder
from service.visualization.page import encode_png
from service.visualization.panel_grid import TooManyPanels

PNG = "image/png"

TEXT_WIDTH_PX = 800
MIN_AUTO_WIDTH_PX, MAX_AUTO_WIDTH_PX = 400, 2_000
"""Of a picture that is drawn as wide as it is."""


async def attention_image(request: HttpRequest) -> Response:
    """One text or image, with its attention over it, as a PNG."""
    options: AttentionImageOptions
    value: Input
    if is_image(request):
        options, value = AttentionImageOptions.from_query(request.query_params), Image(await body.read_body(request))
    else:
        options = payload = await AttentionImageRequest.read(request)
        value = payload.to_input()
    state = request.app_state
    deadline = request_deadline(request, state.settings.queue_timeout_ms)
    (output,) = (await embed_http(request, options.to_embed_request(value))).outputs
    draw = partial(_draw_png, state, options, value, output, deadline)
    async with CancelOnDisconnect(request):
        file = await asyncio.get_running_loop().run_in_executor(state.image_pool, draw)
    return Response(file, media_type=PNG)


def _draw_png(
    state: AppState, options: AttentionImageOptions, value: Input, output: EmbeddingOutput, deadline: float
) -> bytes:
    """Draw the PNG file; run off the event loop, it takes up to seconds. Raises DeadlineExceeded or
    InvalidParameter."""
    if time.monotonic() > deadline:
        state.metrics.rejected.labels("deadline", output.encoder.name).inc()
        raise DeadlineExceeded("the attention image could not be rendered before the request's deadline")
    try:
        if isinstance(value, str):
            return encode_png(
                AttentionRenderer(options.attention, output, options.width_px or TEXT_WIDTH_PX).render_text(value)
            )
        assert isinstance(value, Image)
        assert isinstance(output.encoder, ImageEncoder)
        file = decode_base64_image(value.file) if isinstance(value.file, str) else value.file
        # Decoded again rather than kept: while it waits in the queue it would be 75 MB.
        transparency = output.encoder.spec.transparency
        original = decode_image(file, max_pixels=state.settings.max_image_pixels, transparency=transparency)
        width_px = options.width_px or min(max(original.width, MIN_AUTO_WIDTH_PX), MAX_AUTO_WIDTH_PX)
        return encode_png(AttentionRenderer(options.attention, output, width_px).render_image(original))
    except TooManyPanels as error:
        raise InvalidParameter(f"{error}; select fewer with layers and heads", "attention.layers") from None
