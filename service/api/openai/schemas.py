"""Response models of the OpenAI API, for the OpenAPI document only: responses are serialized without them."""

from typing import Literal

from pydantic import BaseModel, Field

from models.artifact.manifest import Modality, Pooling
from service.api.common.schemas import Grid, Token


class AttentionResponse(BaseModel):
    """Tokens for a text, a grid for an image."""

    reduce: str
    query: str | int
    shape: list[int]
    values: list[float] | list[list[float]] | list[object] | str
    indices: list[int] | list[list[int]] | list[object] | str = Field(
        [], description="Indices of `values` (only with top_k)."
    )
    tokens: list[Token] | None
    grid: Grid | None


class EmbeddingObject(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    truncated: bool
    attention: AttentionResponse | None = None


class Usage(BaseModel):
    prompt_tokens: int = Field(description="Tokens of texts, positions of images.")
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"]
    model: str
    data: list[EmbeddingObject]
    usage: Usage


class ImageSize(BaseModel):
    rows_px: int
    columns_px: int


class ModelGrid(BaseModel):
    rows: int
    columns: int
    prefix: int


class ModelAttention(BaseModel):
    """`heads` is a number where all layers have as many, else one number a layer."""

    layers: int
    heads: int | list[int]


class ModelObject(BaseModel):
    """A served model. Vectors of models that name one `space` can be compared.

    `provider` is the execution provider as the session reports it.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    modality: Modality
    architecture: str
    dimensions: int
    space: str
    max_tokens: int | None
    image: ImageSize | None
    grid: ModelGrid | None
    pooling: Pooling
    precision: str
    attention: ModelAttention | None
    provider: str


class ModelsResponse(BaseModel):
    object: Literal["list"]
    data: list[ModelObject]
