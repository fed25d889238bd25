"""APIs of Weaviate's inference containers: text2vec-transformers and multi2vec-clip.

Weaviate sends its own answer's fields along, empty; they are ignored as every unknown field is.
"""

from http import HTTPStatus
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, StrictStr
from starlette.responses import Response

from service.app_state import AppState
from service.errors import EmptyInput, HeadlightError, InvalidApiKey, InvalidParameter
from service.http import error_responses, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import PlainError
from service.http.request import HttpRequest, infer_http
from service.http.responses import JsonArray
from service.http.validation import Dimensions, RequestModel
from service.pipeline.types import Image, InferenceRequest
from service.runtime.encoder import AnyEncoder, TextEncoder


class VectorConfig(BaseModel):
    """Options of a text. `task_type` selects the model's prompt of that name, if any.

    `pooling_strategy` cannot change the model's pooling: "cls" is refused for a model that pools otherwise, and
    Weaviate's default, "masked_mean", is accepted for all.
    """

    pooling_strategy: StrictStr | None = None
    task_type: StrictStr | None = None
    dimensions: Dimensions | None = None


class VectorsRequest(RequestModel):
    """`POST /vectors`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ()

    text: StrictStr
    config: VectorConfig | None = None


class VectorsResponse(BaseModel):
    """`dim` is what Weaviate's own container calls it, `dims` what Weaviate reads."""

    text: str
    vector: list[float]
    dim: int
    dims: int


class VectorizeRequest(RequestModel):
    """`POST /vectorize`: images in base64."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("texts", "images")
    INPUT_DESCRIPTION: ClassVar[str] = "must be a list of strings"

    texts: Annotated[list[StrictStr], Field(fail_fast=True)] | None = None
    images: Annotated[list[StrictStr], Field(fail_fast=True)] | None = None


class VectorizeResponse(BaseModel):
    textVectors: list[list[float]]  # noqa: N815  # Weaviate's spelling
    imageVectors: list[list[float]]  # noqa: N815


async def vectors(request: HttpRequest) -> Response:
    """Embed a text (text2vec-transformers)."""
    payload = await VectorsRequest.read(request)
    config = payload.config or VectorConfig()
    state = request.app_state
    encoder = state.models.default("text", "embed")
    if config.pooling_strategy == "cls" and encoder.manifest.embedding.pooling != "cls":
        message = f"the model pools by {encoder.manifest.embedding.pooling}; its pooling cannot be changed"
        raise InvalidParameter(message, "config.pooling_strategy")
    known_prompts = encoder.prompts if isinstance(encoder, TextEncoder) else ()
    result = await infer_http(
        request,
        InferenceRequest(
            [payload.text],
            input_path=lambda _: "text",
            dimensions_param="config.dimensions",
            model=encoder.name,
            dimensions=config.dimensions,
            prompt=config.task_type if config.task_type in known_prompts else None,
        ),
    )
    vector = result.outputs[0].output
    return responses.json_response({"text": payload.text, "vector": vector, "dim": len(vector), "dims": len(vector)})


async def vectorize(request: HttpRequest) -> Response:
    """Embed texts and images in one space (multi2vec-clip)."""
    payload = await VectorizeRequest.read(request)
    texts, images = payload.texts or [], [Image(image) for image in payload.images or []]
    if not texts and not images:
        raise EmptyInput("texts and images must not both be empty")
    state = request.app_state
    model = _multimodal_model(state) or state.models.default("image" if images else "text")
    count = len(texts)

    def input_path(index: int) -> str:
        return f"texts[{index}]" if index < count else f"images[{index - count}]"

    embeddings = (
        await infer_http(request, InferenceRequest([*texts, *images], model=model.name, input_path=input_path))
    ).embeddings
    return await responses.streaming_json(
        {"textVectors": JsonArray(embeddings[:count]), "imageVectors": JsonArray(embeddings[count:])}
    )


async def meta(request: HttpRequest) -> Response:
    """Describe the default text model, or the default image model if there is no text model."""
    state = request.app_state
    encoders = sorted(state.models, key=lambda encoder: encoder.manifest.modality != "text")
    manifest = encoders[0].manifest
    return responses.json_response(
        {"model": {"_name_or_path": manifest.name, "model_type": manifest.architecture,
                   "hidden_size": manifest.embedding.dim}}
    )  # fmt: skip


async def ready(request: HttpRequest) -> Response:
    """204 when ready."""
    state = request.app_state
    state.check_ready()
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def live(request: HttpRequest) -> Response:
    """204 while the engine is at work."""
    state = request.app_state
    state.check_alive()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def error_response(error: HeadlightError) -> Response:
    """Return the error in Weaviate's format, whose word for a missing or wrong key is `Unauthorized`."""
    if isinstance(error, InvalidApiKey):
        return error_responses.error_response(error, responses.dump({"error": "Unauthorized"}))
    return error_responses.simple_error_response(error)


def _multimodal_model(state: AppState) -> AnyEncoder | None:
    """Return the first image model that shares its space with a text model, or None."""
    images = (encoder for encoder in state.models if encoder.manifest.modality == "image")
    return next((encoder for encoder in images if state.models.sibling(encoder, "text")), None)


_TEXT = {"a text": {"text": "A lamp.", "config": {"pooling_strategy": "masked_mean", "task_type": "passage"}}}

DIALECT = Dialect(
    "Weaviate",
    (
        Endpoint("POST", "/vectors", vectors, "text2vec-transformers: embed a text", VectorsRequest, VectorsResponse,
                 _TEXT),
        Endpoint("POST", "/vectorize", vectorize, "multi2vec-clip: embed texts and images", VectorizeRequest,
                 VectorizeResponse, {"texts": {"texts": ["A lamp.", "The sea."]}}),
        Endpoint("GET", "/meta", meta, "Default model information"),
        Endpoint("GET", "/.well-known/ready", ready, "Readiness", public=True, is_probe=True,
                 status=HTTPStatus.NO_CONTENT, response_content={}),
        Endpoint("GET", "/.well-known/live", live, "Liveness", public=True, is_probe=True,
                 status=HTTPStatus.NO_CONTENT, response_content={}),
    ),
    PlainError,
    error_response,
)  # fmt: skip
