"""Cohere's `POST /v2/embed`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, Field, StrictInt, StrictStr
from starlette.responses import Response

from models.contract.arrays import Floats
from models.preprocess.text import Kept
from service.errors import HeadlightError, InvalidInput
from service.http import pieces, problems, responses
from service.http.asked import Asked, Image, Input
from service.http.embedding import embed
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.pieces import base64_of
from service.http.validation import Body, Dimensions
from service.runtime.encoder import TextEncoder

PROMPTS = {"search_query": "query", "search_document": "document"}
"""Names of prompts that models have for these; a model without them embeds all texts alike."""

_KEPT: dict[str, Kept] = {"START": "end", "END": "start", "NONE": "start"}


Kind = Literal["float", "base64", "binary", "ubinary"]


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


class CohereRequest(Body):
    """Exactly one of `texts`, `images` (data URIs) and `inputs`."""

    LISTS: ClassVar[tuple[str, ...]] = ("texts", "images", "inputs")
    INPUT: ClassVar[str] = "must be strings, or objects with the content of one text or image"

    model: StrictStr
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"] | None = None
    texts: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)] | None = None
    images: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)] | None = None
    inputs: Annotated[list[CohereInput], Field(min_length=1, fail_fast=True)] | None = None
    embedding_types: Annotated[list[Kind], Field(min_length=1, max_length=4, fail_fast=True)] | None = None
    output_dimension: Dimensions | None = None
    truncate: Literal["NONE", "START", "END"] = "END"
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="A text of more is refused; texts are cut to the model's limit alone."
    )

    def asked(self) -> Asked:
        """The request that this is. Raises InvalidInput unless there is one list of inputs."""
        inputs: list[Input] = [*(self.texts or ()), *map(Image, self.images or ()), *map(_input, self.inputs or ())]
        return Asked(
            inputs,
            model=self.model,
            dimensions=self.output_dimension,
            dimensions_name="output_dimension",
            names=f"{self._list()}[{{}}]".format,
            truncate=self.truncate != "NONE",
            kept=_KEPT[self.truncate],
            max_tokens=self.max_tokens,
        )

    def _list(self) -> str:
        given = [name for name in self.LISTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidInput("exactly one of texts, images and inputs must be given", "texts")
        return given[0]


class CohereAnswer(BaseModel):
    id: str
    embeddings: dict[str, list[list[float]] | list[list[int]] | list[str]]
    meta: dict[str, Any]
    response_type: Literal["embeddings_by_type"]


class CohereError(BaseModel):
    message: str


def _base64(vectors: Floats) -> object:
    return [base64_of(vector, "<f4") for vector in vectors]


def _signs(vectors: Floats) -> object:
    return np.packbits(vectors > 0, axis=1)


def _signed_signs(vectors: Floats) -> object:
    return (np.packbits(vectors > 0, axis=1) ^ 0x80).view(np.int8)  # less 128


_WRITTEN: Mapping[str, Callable[[Floats], object]] = {
    "float": pieces.Numbers,
    "base64": _base64,
    "binary": _signed_signs,
    "ubinary": _signs,
}


def _input(value: CohereInput) -> Input:
    (content,) = value.content
    return content.text if isinstance(content, TextContent) else Image(content.image_url.url)


def _asked(request: Exchange, found: CohereRequest) -> Asked:
    """With the model's own prompt for this type of input, where it has one."""
    asked = found.asked()
    state = request.headlight
    encoder = state.model(found.model)
    prompt = PROMPTS.get(found.input_type or "")
    known = isinstance(encoder, TextEncoder) and prompt in encoder.prompts
    return replace(asked, prompt=prompt) if known else asked


async def embedding(request: Exchange) -> Response:
    """Vectors in each of the types asked for."""
    found = await CohereRequest.read(request)
    embedded = await embed(request, _asked(request, found))
    vectors = embedded.vectors
    images = sum(item.encoder.manifest.modality == "image" for item in embedded.items)
    billed = {"images": images} if images else {"input_tokens": embedded.positions}
    return await responses.in_pieces(
        {
            "id": str(uuid4()),
            "embeddings": {kind: _WRITTEN[kind](vectors) for kind in found.embedding_types or ["float"]},
            "meta": {"api_version": {"version": "2"}, "billed_units": billed},
            "response_type": "embeddings_by_type",
        }
    )


def problem(error: HeadlightError) -> Response:
    """`{"message": "..."}`."""
    return problems.respond(error, pieces.dump({"message": problems.told(error)}))


DIALECT = Dialect(
    "Cohere",
    (
        Endpoint(
            "POST", "/v2/embed", embedding, "Embed texts or images", CohereRequest, CohereAnswer,
            {
                "texts": {"model": "all-MiniLM-L6-v2", "texts": ["A lamp."], "input_type": "search_document",
                          "embedding_types": ["float", "ubinary"]},
                "inputs": {"model": "all-MiniLM-L6-v2", "inputs": [{"content": [{"type": "text", "text": "A lamp."}]}]},
            },
        ),
    ),
    CohereError,
    problem,
)  # fmt: skip
