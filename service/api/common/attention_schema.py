"""Request model of attention options."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from models.artifact.tensors import Reduction
from service.engine.plan import AttentionOptions
from service.http.validation import integral

Indices = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1, max_length=1_024, fail_fast=True)
]


Units = Literal["tokens", "words"]
"""What the parts of a text are."""


class AttentionRequest(BaseModel):
    """Which attention to answer with; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    reduce: Literal[Reduction, "raw"] = Field(
        "rollout", description="How layers and heads are reduced, or raw weights."
    )
    query: Literal["pool", "all"] | Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="Attention of the pooled output, of all positions, or of one token, word or patch (with raw, of "
        "one position of an image: grid.prefix positions precede its patches). Default pool; all with raw.",
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all", "mean", "max"] | Indices = Field(
        "all", description="With raw: which heads, or a layer's heads combined; with max, rows are scaled to sum to 1."
    )
    top_k: Annotated[StrictInt, Field(ge=1), BeforeValidator(integral)] | None = Field(
        None, description="Return only the k largest weights per row, descending, with their indices."
    )
    units: Units = Field(
        "tokens",
        description="For a text: merge tokens into words. Attention to a word is the sum over its tokens; "
        "attention from a word is the mean over its tokens.",
    )
    encoding: Literal["json", "base64"] = Field(
        "json", description="Nested lists, or base64 of little-endian float16 values and int32 indices."
    )

    def to_options(self) -> AttentionOptions:
        default: Literal["pool", "all"] = "all" if self.reduce == "raw" else "pool"
        return AttentionOptions(
            reduce=self.reduce,
            query=default if self.query is None else self.query,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
            top_k=self.top_k,
            words=self.units == "words",
        )


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("attention has unknown fields")
    return {} if value is True else None if value is False else value


Attention = Annotated[
    AttentionRequest | None,
    BeforeValidator(_as_object),
    Field(json_schema_extra={"examples": [True, {"reduce": "raw"}]}),
]
"""`true` is all defaults, `false` none."""
