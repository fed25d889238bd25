"""Ollama: `/api/embed`, the older `/api/embeddings`, `/api/tags` and `/api/version`."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictInt, StrictStr
from starlette.responses import Response

from service import VERSION
from service.dialects.inputs import as_list
from service.http import problems, responses
from service.http.asked import Asked, Embedded
from service.http.described import PlainError
from service.http.embedding import embed
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.pieces import Numbers
from service.http.validation import Body, whole
from service.runtime.encoder import AnyEncoder

LATEST = ":latest"
"""The tag of a name without one; nothing here has another."""


def _texts(value: object) -> object:
    """An empty text alone is none here, and so is null."""
    return [] if value in ("", None) else as_list(value)


class OllamaRequest(Body):
    """What both requests have. `options` and `keep_alive` are of a server that loads models when they are asked for."""

    model: StrictStr

    def name(self) -> str:
        """The model's name as it is served."""
        return self.model.removesuffix(LATEST)


class OllamaEmbedRequest(OllamaRequest):
    """`POST /api/embed`. Without input it is a request to load the model, which is answered with no vectors."""

    input: Annotated[list[StrictStr], Field(fail_fast=True), BeforeValidator(_texts)] = Field([])
    truncate: StrictBool | None = None
    dimensions: Annotated[Annotated[StrictInt, Field(ge=0)], BeforeValidator(whole)] | None = None


class OllamaEmbedAnswer(BaseModel):
    model: str
    embeddings: list[list[float]]
    total_duration: int = Field(description="In ns.")
    load_duration: int
    prompt_eval_count: int


class OllamaEmbeddingsRequest(OllamaRequest):
    """`POST /api/embeddings`"""

    LISTS: ClassVar[tuple[str, ...]] = ()

    prompt: StrictStr = ""


class OllamaEmbeddingsAnswer(BaseModel):
    embedding: list[float]


async def embedding(request: Exchange) -> Response:
    """Vectors of texts, scaled to length 1."""
    began = time.monotonic()
    asked = await OllamaEmbedRequest.read(request)
    embedded = await _embed(
        request, asked.name(), asked.input, dimensions=asked.dimensions or None, truncate=asked.truncate is not False
    )
    vectors = [item.vector for item in embedded.items] if embedded else []
    return await responses.in_pieces(
        {
            "model": asked.model,
            "embeddings": Numbers(np.stack(vectors)) if vectors else [],
            "total_duration": int((time.monotonic() - began) * 1e9),
            "load_duration": 0,
            "prompt_eval_count": embedded.positions if embedded else 0,
        }
    )


async def old_embedding(request: Exchange) -> Response:
    """The vector of a text, as the model pools it."""
    asked = await OllamaEmbeddingsRequest.read(request)
    embedded = await _embed(request, asked.name(), [asked.prompt] if asked.prompt else [], normalize=False)
    return responses.json({"embedding": embedded.items[0].vector if embedded else []})


async def tags(request: Exchange) -> Response:
    """The served models."""
    state = request.headlight
    return responses.json({"models": [_told(encoder) for encoder in state.models.values()]})


async def told_version(_request: Exchange) -> Response:
    """This server's."""
    return responses.json({"version": VERSION})


async def _embed(
    request: Exchange, model: str, texts: Sequence[str], *, dimensions: int | None = None, truncate: bool = True,
    normalize: bool = True,
) -> Embedded | None:  # fmt: skip
    state = request.headlight
    width = state.model(model).manifest.embedding.width
    if not texts:
        request.answered.model = model
        return None
    if dimensions is not None and dimensions > width:
        dimensions = None  # as there: the whole vector
    return await embed(
        request, Asked(texts, model=model, dimensions=dimensions, truncate=truncate, normalize=normalize)
    )


def _told(encoder: AnyEncoder) -> dict[str, object]:
    manifest = encoder.manifest
    details = {
        "parent_model": "",
        "format": "onnx",
        "family": manifest.architecture,
        "families": [manifest.architecture],
        "parameter_size": "",
        "quantization_level": manifest.precision,
        "context_length": encoder.max_positions,
        "embedding_length": manifest.embedding.width,
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
        Endpoint("POST", "/api/embed", embedding, "Embed texts", OllamaEmbedRequest, OllamaEmbedAnswer,
                 {"two texts": {"model": "all-MiniLM-L6-v2", "input": ["A lamp.", "The sea."]}}),
        Endpoint("POST", "/api/embeddings", old_embedding, "Embed a text, as older clients ask",
                 OllamaEmbeddingsRequest, OllamaEmbeddingsAnswer,
                 {"a text": {"model": "all-MiniLM-L6-v2:latest", "prompt": "A lamp."}}),
        Endpoint("GET", "/api/tags", tags, "The served models"),
        Endpoint("GET", "/api/version", told_version, "This server's version", keyless=True),
    ),
    PlainError,
    problems.plain,
)  # fmt: skip
