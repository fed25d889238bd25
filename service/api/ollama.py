"""Ollama: `/api/embed`, the older `/api/embeddings`, `/api/tags` and `/api/version`."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictInt, StrictStr
from starlette.responses import Response

from service import VERSION
from service.api.common.inputs import as_list
from service.http import error_responses, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import PlainError
from service.http.request import HttpRequest, infer_http
from service.http.responses import JsonArray
from service.http.validation import RequestModel, integral
from service.pipeline.types import InferenceRequest, InferenceResult
from service.runtime.encoder import AnyEncoder

LATEST = ":latest"
"""Tag of a name without one; other tags are unknown here."""


def _texts(value: object) -> object:
    """Treat a single empty text, and null, as no text."""
    return [] if value in ("", None) else as_list(value)


class OllamaRequest(RequestModel):
    """Fields of both requests. `options` and `keep_alive` concern servers that load models on demand."""

    model: StrictStr

    def name(self) -> str:
        """Return the model's name as served."""
        return self.model.removesuffix(LATEST)


class OllamaEmbedRequest(OllamaRequest):
    """`POST /api/embed`. Without input it is a request to load the model, which is answered with no vectors."""

    input: Annotated[list[StrictStr], Field(fail_fast=True), BeforeValidator(_texts)] = Field([])
    truncate: StrictBool | None = None
    dimensions: Annotated[Annotated[StrictInt, Field(ge=0)], BeforeValidator(integral)] | None = None


class OllamaEmbedResponse(BaseModel):
    model: str
    embeddings: list[list[float]]
    total_duration: int = Field(description="In ns.")
    load_duration: int
    prompt_eval_count: int


class OllamaEmbeddingsRequest(OllamaRequest):
    """`POST /api/embeddings`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ()

    prompt: StrictStr = ""


class OllamaEmbeddingsResponse(BaseModel):
    embedding: list[float]


async def embedding(request: HttpRequest) -> Response:
    """Vectors of texts, scaled to length 1."""
    started = time.monotonic()
    payload = await OllamaEmbedRequest.read(request)
    result = await _embed(
        request,
        payload.name(),
        payload.input,
        dimensions=payload.dimensions or None,
        truncate=payload.truncate is not False,
    )
    vectors = [item.output for item in result.outputs] if result else []
    return await responses.streaming_json(
        {
            "model": payload.model,
            "embeddings": JsonArray(np.stack(vectors)) if vectors else [],
            "total_duration": int((time.monotonic() - started) * 1e9),
            "load_duration": 0,
            "prompt_eval_count": result.num_tokens if result else 0,
        }
    )


async def legacy_embeddings(request: HttpRequest) -> Response:
    """Return the vector of a text, as the model pools it."""
    payload = await OllamaEmbeddingsRequest.read(request)
    result = await _embed(request, payload.name(), [payload.prompt] if payload.prompt else [], normalize=False)
    return responses.json_response({"embedding": result.outputs[0].output if result else []})


async def tags(request: HttpRequest) -> Response:
    """List the served models."""
    state = request.app_state
    return responses.json_response({"models": [_model_entry(encoder) for encoder in state.models]})


async def version(_request: HttpRequest) -> Response:
    """Return this server's version."""
    return responses.json_response({"version": VERSION})


async def _embed(
    request: HttpRequest, model: str, texts: Sequence[str], *, dimensions: int | None = None, truncate: bool = True,
    normalize: bool = True,
) -> InferenceResult | None:  # fmt: skip
    state = request.app_state
    width = state.models.get(model).manifest.embedding.dim
    if not texts:
        request.record.model = model
        return None
    if dimensions is not None and dimensions > width:
        dimensions = None  # as in Ollama: the whole vector
    return await infer_http(
        request, InferenceRequest(texts, model=model, dimensions=dimensions, truncate=truncate, normalize=normalize)
    )


def _model_entry(encoder: AnyEncoder) -> dict[str, object]:
    manifest = encoder.manifest
    details = {
        "parent_model": "",
        "format": "onnx",
        "family": manifest.architecture,
        "families": [manifest.architecture],
        "parameter_size": "",
        "quantization_level": manifest.precision,
        "context_length": encoder.max_positions,
        "embedding_length": manifest.embedding.dim,
    }
    return {
        "name": manifest.name + LATEST,
        "model": manifest.name + LATEST,
        "modified_at": datetime.fromtimestamp(0, UTC).isoformat(),
        "size": sum(file.bytes for file in manifest.files.values()),
        "digest": manifest.files["weights.bin"].sha256,
        "details": details,
        "capabilities": ["embedding"],
    }


DIALECT = Dialect(
    "Ollama",
    (
        Endpoint("POST", "/api/embed", embedding, "Embed texts", OllamaEmbedRequest, OllamaEmbedResponse,
                 {"two texts": {"model": "all-MiniLM-L6-v2", "input": ["A lamp.", "The sea."]}}),
        Endpoint("POST", "/api/embeddings", legacy_embeddings, "Embed a text (legacy endpoint)",
                 OllamaEmbeddingsRequest, OllamaEmbeddingsResponse,
                 {"a text": {"model": "all-MiniLM-L6-v2:latest", "prompt": "A lamp."}}),
        Endpoint("GET", "/api/tags", tags, "Served models"),
        Endpoint("GET", "/api/version", version, "Server version", public=True),
    ),
    PlainError,
    error_responses.simple_error_response,
)  # fmt: skip
