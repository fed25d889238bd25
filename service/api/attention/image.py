"""`POST /v1/attention/image`: attention drawn as an image."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema
from starlette.responses import Response

from models.artifact.manifest import Task
from models.preprocess.image_decoding import decode_image
from models.preprocess.model_input import TextPair
from service.api.attention.renderer import AttentionRenderer
from service.api.common.attention import AttentionRequest
from service.api.common.inputs import (
    IMAGE_SCHEMA,
    PAIR_SCHEMA,
    TEXT_SCHEMA,
    ImageInput,
    PairInput,
    TextInput,
    exactly_one_key,
    is_image,
)
from service.app_state import AppState
from service.errors import DeadlineExceeded, InvalidParameter
from service.http import body, request
from service.http.request import CancelOnDisconnect, HttpRequest, infer_http, preferred_media_type, request_deadline
from service.http.validation import RequestModel, integral
from service.pipeline.preprocess import decode_base64_image
from service.pipeline.types import Image, InferenceRequest, Input, InputResult
from service.runtime.encoder import ImageEncoder
from service.visualization.drawing import Drawing, encode_png, encode_svg
from service.visualization.page import MAX_WIDTH_PX, MIN_WIDTH_PX
from service.visualization.panel_grid import TooManyPanels

NUMERIC_ONLY_OPTIONS = ("top_k", "encoding")
"""Attention options that only concern the notation of numbers."""

_INPUT_SCHEMA = {"anyOf": [{"type": "string"}, TEXT_SCHEMA, PAIR_SCHEMA, IMAGE_SCHEMA]}


def _as_object(value: object) -> object:
    if value is True:
        return {}
    if isinstance(value, dict) and len(value) <= len(AttentionRequest.model_fields):
        return value
    raise ValueError("attention must be true or an attention object")


class AttentionImageOptions(RequestModel):
    """Options of the image, for a JSON body and for the URL."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("input",)
    INPUT_DESCRIPTION: ClassVar[str] = (
        'an input must be one string, {"text": string}, {"text": string, "text_pair": string} or {"image": string}'
    )

    model: StrictStr
    attention: Annotated[AttentionRequest, BeforeValidator(_as_object)] = Field(
        default_factory=AttentionRequest,
        description="As in /v1/embeddings, without top_k and encoding; true for all defaults.",
        json_schema_extra={"examples": [True, {"reduce": "raw"}]},
    )
    width_px: Annotated[
        Annotated[StrictInt, Field(ge=MIN_WIDTH_PX, le=MAX_WIDTH_PX)] | None, BeforeValidator(integral)
    ] = Field(None, description="Width of the PNG. Default: the image's own within 400 to 2000; 800 for a text.")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Parse the URL's options when the body is an image; lists of layers and heads are comma-separated."""
        known = ("model", "width_px", *_QUERY_PARSERS)
        if not query.keys() <= set(known):
            raise InvalidParameter(f"unknown query parameter; known are {', '.join(known)}", "query")
        fields: dict[str, object] = {name: query[name] for name in ("model",) if name in query}
        if "width_px" in query:
            fields["width_px"] = request.parse_query_int(query["width_px"])
        fields["attention"] = {name: _QUERY_PARSERS[name](query[name]) for name in _QUERY_PARSERS if name in query}
        return cls.parse(fields, max_inputs=1)

    def to_inference_request(self, value: Input, task: Task) -> InferenceRequest:
        """Convert to an InferenceRequest for the model's task.

        Raises InvalidParameter for options that only apply to numbers.
        """
        for name in NUMERIC_ONLY_OPTIONS:
            if name in self.attention.model_fields_set:
                raise InvalidParameter(f"{name} does not apply to images", f"attention.{name}")
        return InferenceRequest(
            [value], model=self.model, task=task, attention=self.attention.to_options(), input_path=lambda _: "input"
        )


class AttentionImageRequest(AttentionImageOptions):
    """`POST /v1/attention/image`"""

    input: Annotated[
        StrictStr
        | PairInput
        | Annotated[TextInput, BeforeValidator(exactly_one_key)]
        | Annotated[ImageInput, BeforeValidator(exactly_one_key)],
        WithJsonSchema(_INPUT_SCHEMA),
    ]

    def to_input(self) -> Input:
        """As every dialect gives it."""
        match self.input:
            case PairInput():
                return TextPair(self.input.text, self.input.text_pair)
            case TextInput():
                return self.input.text
            case ImageInput():
                return Image(self.input.image)
        return self.input


def _indices(text: str) -> object:
    """Parse `0,3` as indices; return a word, such as all, unchanged."""
    parts = text.split(",")
    return list(map(request.parse_query_int, parts)) if parts[0].isdecimal() else text


_QUERY_PARSERS: dict[str, Callable[[str], object]] = {
    "reduce": str,
    "query": request.parse_query_int,
    "layers": _indices,
    "heads": _indices,
}


PNG, SVG = "image/png", "image/svg+xml"

TEXT_WIDTH_PX = 800
MIN_AUTO_WIDTH_PX, MAX_AUTO_WIDTH_PX = 400, 2_000
"""Limits of the default width, which is the image's own."""


async def attention_image(request: HttpRequest) -> Response:
    """Draw one text or image with its attention, as PNG, or as SVG where the client prefers it."""
    options: AttentionImageOptions
    value: Input
    if is_image(request):
        options, value = AttentionImageOptions.from_query(request.query_params), Image(await body.read_body(request))
    else:
        options = payload = await AttentionImageRequest.read(request)
        value = payload.to_input()
    state = request.app_state
    deadline = request_deadline(request, state.settings.queue_timeout_ms)
    task = state.models.get(options.model).manifest.tasks[0]
    (output,) = (await infer_http(request, options.to_inference_request(value, task))).outputs
    media_type = preferred_media_type(request.header_values.get("accept", ""), (PNG, SVG))
    draw = partial(_draw, state, options, value, output, deadline, media_type)
    async with CancelOnDisconnect(request):
        file = await asyncio.get_running_loop().run_in_executor(state.image_pool, draw)
    return Response(file, media_type=media_type, headers=IMAGE_HEADERS)


IMAGE_HEADERS = {
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src data:",
}
"""Headers that keep an SVG, opened as a page, from loading or running anything."""


def _draw(
    state: AppState, options: AttentionImageOptions, value: Input, output: InputResult, deadline: float,
    media_type: str,
) -> bytes:  # fmt: skip
    """Draw the file; run off the event loop, it takes up to seconds. Raises DeadlineExceeded or InvalidParameter."""
    if time.monotonic() > deadline:
        state.metrics.rejected.labels("deadline", output.encoder.name).inc()
        raise DeadlineExceeded("the attention image could not be rendered before the request's deadline")
    try:
        drawing = _drawing(state, options, value, output)
    except TooManyPanels as error:
        raise InvalidParameter(f"{error}; select fewer with layers and heads", "attention.layers") from None
    return encode_svg(drawing, f"Attention of {output.encoder.name}") if media_type == SVG else encode_png(drawing)


def _drawing(state: AppState, options: AttentionImageOptions, value: Input, output: InputResult) -> Drawing:
    """Lay the input out with its attention. Raises TooManyPanels."""
    if isinstance(value, str | TextPair):
        return AttentionRenderer(options.attention, output, options.width_px or TEXT_WIDTH_PX).render_text(value)
    assert isinstance(value, Image)
    assert isinstance(output.encoder, ImageEncoder)
    file = decode_base64_image(value.file) if isinstance(value.file, str) else value.file
    # Decoded again, not kept: in the queue it would take 75 MB.
    transparency = output.encoder.spec.transparency
    original = decode_image(file, max_pixels=state.settings.max_image_pixels, transparency=transparency)
    width_px = options.width_px or min(max(original.width, MIN_AUTO_WIDTH_PX), MAX_AUTO_WIDTH_PX)
    return AttentionRenderer(options.attention, output, width_px).render_image(original)
