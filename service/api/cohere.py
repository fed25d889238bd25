"""Cohere's `POST /v2/embed` and `POST /v2/rerank`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, Field, StrictInt, StrictStr
from starlette.responses import Response

from models.artifact.arrays import Floats
from models.preprocess.text import KeptSide
from service.api.common.attention import requested_attention
from service.api.rerank.request import RerankRequest
from service.errors import HeadlightError, InvalidInput
from service.http import error_responses, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.request import HttpRequest, infer_http, score_http
from service.http.responses import StreamedList, to_base64
from service.http.validation import Dimensions, RequestModel
from service.pipeline.types import Image, InferenceRequest, Input
from service.runtime.encoder import TextEncoder

PROMPTS = {"search_query": "query", "search_document": "document"}
"""Prompts for Cohere's input types; a model without them embeds all texts the same way."""

_KEPT_SIDE: dict[str, KeptSide] = {"START": "end", "END": "start", "NONE": "start"}


EmbeddingType = Literal["float", "base64", "binary", "ubinary"]


class TextContent(BaseModel):
    type: Literal["text"]
    text: StrictStr


class ImageUrl(BaseModel):
    url: StrictStr


class ImageContent(BaseModel):
    type: Literal["image_url"]
    image_url: ImageUrl


class CohereInput(BaseModel):
    """One text or one image; several parts would be one vector, which no model here makes."""

    content: Annotated[
        list[Annotated[TextContent | ImageContent, Field(discriminator="type")]], Field(min_length=1, max_length=1)
    ]


class CohereRequest(RequestModel):
    """Exactly one of `texts`, `images` (data URIs) and `inputs`."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("texts", "images", "inputs")
    INPUT_DESCRIPTION: ClassVar[str] = "must be strings, or objects with the content of one text or image"

    model: StrictStr
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"] | None = None
    texts: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)] | None = None
    images: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)] | None = None
    inputs: Annotated[list[CohereInput], Field(min_length=1, fail_fast=True)] | None = None
    embedding_types: Annotated[list[EmbeddingType], Field(min_length=1, max_length=4, fail_fast=True)] | None = None
    output_dimension: Dimensions | None = None
    truncate: Literal["NONE", "START", "END"] = "END"
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="Texts longer than this are rejected; truncation only happens at the model's own limit."
    )

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest. Raises InvalidInput unless there is exactly one list of inputs."""
        if self.input_type == "image" and self.texts:
            raise InvalidInput("input_type image does not apply to texts; send them in images, as data URIs", "texts")
        inputs: list[Input] = [*(self.texts or ()), *map(Image, self.images or ()), *map(_to_input, self.inputs or ())]
        return InferenceRequest(
            inputs,
            model=self.model,
            dimensions=self.output_dimension,
            dimensions_param="output_dimension",
            input_path=f"{self._input_field()}[{{}}]".format,
            truncate=self.truncate != "NONE",
            kept=_KEPT_SIDE[self.truncate],
            max_tokens=self.max_tokens,
        )

    def _input_field(self) -> str:
        given = [name for name in self.INPUT_FIELDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput("exactly one of texts, images and inputs must be given", "texts")
        return given[0]


class CohereResponse(BaseModel):
    id: str
    embeddings: dict[str, list[list[float]] | list[list[int]] | list[str]]
    meta: dict[str, Any]
    response_type: Literal["embeddings_by_type"]


class CohereError(BaseModel):
    message: str


def _base64(vectors: Floats) -> object:
    return [to_base64(vector, "<f4") for vector in vectors]


def _ubinary(vectors: Floats) -> object:
    return np.packbits(vectors > 0, axis=1)


def _binary(vectors: Floats) -> object:
    return (np.packbits(vectors > 0, axis=1) ^ 0x80).view(np.int8)  # unsigned values minus 128


_ENCODERS: Mapping[str, Callable[[Floats], object]] = {
    "float": responses.JsonArray,
    "base64": _base64,
    "binary": _binary,
    "ubinary": _ubinary,
}


def _to_input(value: CohereInput) -> Input:
    (content,) = value.content
    return content.text if isinstance(content, TextContent) else Image(content.image_url.url)


def _inference_request(request: HttpRequest, payload: CohereRequest) -> InferenceRequest:
    """With the model's own prompt for this type of input, where it has one."""
    inference_request = payload.to_inference_request()
    state = request.app_state
    encoder = state.models.get(payload.model)
    prompt = PROMPTS.get(payload.input_type or "")
    has_prompt = isinstance(encoder, TextEncoder) and prompt in encoder.prompts
    return replace(inference_request, prompt=prompt) if has_prompt else inference_request


async def embedding(request: HttpRequest) -> Response:
    """Return the embeddings in each requested type."""
    payload = await CohereRequest.read(request)
    result = await infer_http(request, _inference_request(request, payload))
    vectors = result.embeddings
    images = sum(item.encoder.manifest.modality == "image" for item in result.outputs)
    billed = {"images": images} if images else {"input_tokens": result.num_tokens}
    return await responses.streaming_json(
        {
            "id": str(uuid4()),
            "embeddings": {kind: _ENCODERS[kind](vectors) for kind in payload.embedding_types or ["float"]},
            "meta": {"api_version": {"version": "2"}, "billed_units": billed},
            "response_type": "embeddings_by_type",
        }
    )


class CohereRerankRequest(RerankRequest):
    """`POST /v2/rerank`"""

    model: StrictStr
    priority: StrictInt = Field(0, description="Accepted and ignored.")


class CohereRank(BaseModel):
    index: int
    relevance_score: float
    attention: dict[str, Any] | None = None


class CohereRerankResponse(BaseModel):
    id: str
    results: list[CohereRank]
    meta: dict[str, Any]


COSINE_WARNING = "the model embeds each text by itself; scores are cosines of embeddings, 0 where they are negative"


async def rerank(request: HttpRequest) -> Response:
    """Rank documents for a query, with scores from 0 to 1."""
    payload = await CohereRerankRequest.read(request)
    result = await score_http(request, payload.to_score_request())
    scores = result.scores("probability").clip(min=0)
    return await responses.streaming_json(
        {
            "id": str(uuid4()),
            "results": StreamedList(
                {
                    "index": i,
                    "relevance_score": scores[i],
                    **requested_attention(payload.attention, result.outputs[i]),
                }
                for i in result.order(payload.top_n or None)
            ),
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"search_units": 1},
                "tokens": {"input_tokens": result.num_tokens, "output_tokens": 0},
                **({"warnings": [COSINE_WARNING]} if result.scoring == "cosine" else {}),
            },
        }
    )


def error_response(error: HeadlightError) -> Response:
    """`{"message": "..."}`."""
    return error_responses.error_response(error, responses.dump({"message": error_responses.message_with_param(error)}))


DIALECT = Dialect(
    "Cohere",
    (
        Endpoint(
            "POST", "/v2/embed", embedding, "Embed texts or images", CohereRequest, CohereResponse,
            {
                "texts": {"model": "all-MiniLM-L6-v2", "texts": ["A lamp."], "input_type": "search_document",
                          "embedding_types": ["float", "ubinary"]},
                "inputs": {"model": "all-MiniLM-L6-v2", "inputs": [{"content": [{"type": "text", "text": "A lamp."}]}]},
            },
        ),
        Endpoint(
            "POST", "/v2/rerank", rerank, "Rank documents", CohereRerankRequest, CohereRerankResponse,
            {"the best one": {"model": "all-MiniLM-L6-v2", "query": "What warns ships?", "top_n": 1,
                              "documents": ["The lamp of the lighthouse warns ships.", "Bread rises in the oven."]}},
        ),
    ),
    CohereError,
    error_response,
)  # fmt: skip
