"""Request and response models of `/v1/attention/match`."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr, WithJsonSchema

from models.artifact.manifest import Modality
from service.api.common.attention_schema import Units
from service.api.common.multimodal_inputs import (
    INPUT_SCHEMA,
    MULTIMODAL_INPUT_DESCRIPTION,
    MultimodalInput,
    to_multimodal_input,
)
from service.api.common.schemas import Grid, Token
from service.engine.plan import AttentionOptions
from service.errors import InvalidInput
from service.http.validation import RequestModel
from service.pipeline.types import EmbedRequest

_TWO_SCHEMA = {"type": "array", "items": INPUT_SCHEMA, "minItems": 2, "maxItems": 2}


class MatchRequest(RequestModel):
    """What each part of one input has to do with how near it lies to another."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("inputs",)
    INPUT_DESCRIPTION: ClassVar[str] = MULTIMODAL_INPUT_DESCRIPTION

    inputs: Annotated[list[MultimodalInput], Field(fail_fast=True), WithJsonSchema(_TWO_SCHEMA)]
    model: StrictStr | None = Field(None, description="Default: the first model that accepts the first input.")
    units: Units = Field("tokens", description="The parts of a text.")
    pairs: StrictBool = Field(False, description="Also return the cosine of each pair of parts.")

    def to_embed_request(self) -> EmbedRequest:
        """Convert to an EmbedRequest. Raises InvalidInput unless there are two inputs."""
        if len(self.inputs) != 2:
            raise InvalidInput(f"inputs must contain exactly two items, not {len(self.inputs)}", "inputs")
        return EmbedRequest(
            [to_multimodal_input(value) for value in self.inputs],
            model=self.model,
            attention=AttentionOptions(),
            attention_optional=True,
            return_token_embeddings=True,
            input_path="inputs[{}]".format,
        )


class MatchedInput(BaseModel):
    """One of the two, part by part: tokens or words of a text, cells of an image."""

    index: int
    model: str
    modality: Modality
    truncated: bool
    similarities: list[float] = Field(description="Cosine of each part's vector with the other input's embedding.")
    contributions: list[float] | None = Field(
        description="Sums to the similarity; null if the embedding is not the mean of its parts' vectors."
    )
    relevance: list[float] | None = Field(description="Attention rollout, sums to 1; null without attention.")
    tokens: list[Token] | None
    grid: Grid | None


class MatchResponse(BaseModel):
    """How near two inputs lie, and what of it is owed to which part."""

    object: Literal["attention.match"]
    model: str
    similarity: float = Field(description="Cosine of the two embeddings.")
    meaning: str
    inputs: list[MatchedInput]
    pairs: list[list[float]] = Field([], description="With pairs: one row for each part of the first input.")
