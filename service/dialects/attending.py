"""Which attention a request asks for, in the dialects that are asked: as a pydantic model."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from models.contract.tensors import Reduction
from service.engine.attention import AttentionQuery
from service.http.validation import whole

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
        description="Whose attention: the pooled item's, everyone's, or that of one token, word or cell (with raw, of "
        "one position of an image: grid.prefix of them come before its cells). Default pool; all with raw.",
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all", "mean", "max"] | Indices = Field(
        "all", description="With raw: which heads, or a layer's heads combined; the largest are scaled to sum to 1."
    )
    top_k: Annotated[StrictInt, Field(ge=1), BeforeValidator(whole)] | None = Field(
        None, description="Of each row the largest only, largest first, and whose they are as indices."
    )
    units: Units = Field(
        "tokens",
        description="Of a text: put tokens together to words. To a word goes the sum of what its tokens are "
        "given; from it, the mean of what they give.",
    )
    encoding: Literal["json", "base64"] = Field(
        "json", description="Nested lists, or base64: little-endian float16, and int32 for indices."
    )

    def to_query(self) -> AttentionQuery:
        default: Literal["pool", "all"] = "all" if self.reduce == "raw" else "pool"
        return AttentionQuery(
            reduce=self.reduce,
            query=default if self.query is None else self.query,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
            top_k=self.top_k,
            words=self.units == "words",
        )


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("there are fields that attention does not have")
    return {} if value is True else None if value is False else value


Attention = Annotated[
    AttentionRequest | None,
    BeforeValidator(_as_object),
    Field(json_schema_extra={"examples": [True, {"reduce": "raw"}]}),
]
"""`true` is all defaults, `false` none."""
