"""`POST /v1/attention/match`: the request and its answer, as pydantic models."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr, WithJsonSchema

from models.contract.manifest import Modality
from service.dialects.attending import Units
from service.dialects.described import Grid, Token
from service.dialects.mixed import INPUT_SCHEMA, MIXED_INPUT, MixedInput, to_mixed_input
from service.engine.attention import AttentionQuery
from service.errors import InvalidInput
from service.http.asked import Asked
from service.http.validation import Body

_TWO_SCHEMA = {"type": "array", "items": INPUT_SCHEMA, "minItems": 2, "maxItems": 2}


class MatchRequest(Body):
    """What each part of one input has to do with how near it lies to another."""

    LISTS: ClassVar[tuple[str, ...]] = ("inputs",)
    INPUT: ClassVar[str] = MIXED_INPUT

    inputs: Annotated[list[MixedInput], Field(fail_fast=True), WithJsonSchema(_TWO_SCHEMA)]
    model: StrictStr | None = Field(None, description="The first that takes the first input, unless named.")
    units: Units = Field("tokens", description="The parts of a text.")
    pairs: StrictBool = Field(False, description="Also the cosine of each part of one with each of the other.")

    def asked(self) -> Asked:
        """The request that this is. Raises InvalidInput unless it is of two inputs."""
        if len(self.inputs) != 2:
            raise InvalidInput(f"inputs: two are compared, not {len(self.inputs)}", "inputs")
        return Asked(
            [to_mixed_input(value) for value in self.inputs],
            model=self.model,
            attention=AttentionQuery(),
            attention_optional=True,
            vectors=True,
            names="inputs[{}]".format,
        )


class MatchedInput(BaseModel):
    """One of the two, part by part: tokens or words of a text, cells of an image."""

    index: int
    model: str
    modality: Modality
    truncated: bool
    similarities: list[float] = Field(description="Cosine of each part's vector with the other input's embedding.")
    contributions: list[float] | None = Field(
        description="Adding up to the similarity; null where the embedding is not the mean of its parts' vectors."
    )
    relevance: list[float] | None = Field(description="Attention rollout, adding up to 1; null without attention.")
    tokens: list[Token] | None
    grid: Grid | None


class MatchAnswer(BaseModel):
    """How near two inputs lie, and what of it is owed to which part."""

    object: Literal["attention.match"]
    model: str
    similarity: float = Field(description="Cosine of the two embeddings.")
    meaning: str
    inputs: list[MatchedInput]
    pairs: list[list[float]] = Field([], description="With pairs: a row for each part of the first.")
