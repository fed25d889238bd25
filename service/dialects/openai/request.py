"""The OpenAI dialect's request, as pydantic models: validation and the OpenAPI document come from here."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from models.contract.manifest import Modality
from models.contract.tensors import Reduction
from service.dialects.inputs import (
    IDS_SCHEMA,
    IMAGE_SCHEMA,
    TEXT_SCHEMA,
    Ids,
    ImageItem,
    TextItem,
    as_list,
    one_field,
    to_input,
)
from service.engine.attention import AttentionQuery
from service.errors import InvalidParameter
from service.http.asked import Asked, Image, Input
from service.http.validation import Body, Dimensions

_INPUT_SCHEMAS: list[dict[str, Any]] = [{"type": "string"}, IDS_SCHEMA, TEXT_SCHEMA, IMAGE_SCHEMA]
INPUTS_SCHEMA = {
    "anyOf": [*_INPUT_SCHEMAS, {"type": "array", "items": {"anyOf": _INPUT_SCHEMAS}, "minItems": 1}],
}


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("there are fields that attention does not have")
    return {} if value is True else None if value is False else value


# fail_fast: an error for each of a million wrong elements would take seconds and gigabytes.
Inputs = Annotated[
    list[
        StrictStr
        | Ids
        | Annotated[TextItem, BeforeValidator(one_field)]
        | Annotated[ImageItem, BeforeValidator(one_field)]
    ],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(as_list),
    WithJsonSchema(INPUTS_SCHEMA),
]
Indices = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1, max_length=1_024, fail_fast=True)
]


class AttentionRequest(BaseModel):
    """Which attention to answer with; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    reduce: Literal[Reduction, "raw"] = Field(
        "rollout", description="How layers and heads are reduced, or raw weights."
    )
    query: Literal["pool", "all"] | Annotated[StrictInt, Field(ge=0)] | None = Field(
        None,
        description="Whose attention: the pooled item's, everyone's, or that of one token or cell (with raw, of one "
        "position of an image: grid.prefix of them come before its cells). Default pool; all with raw.",
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all"] | Indices = Field("all", description="With raw: which heads.")
    encoding: Literal["json", "base64"] = Field("json", description="Nested lists, or float16 in base64.")

    def to_query(self) -> AttentionQuery:
        default: Literal["pool", "all"] = "all" if self.reduce == "raw" else "pool"
        return AttentionQuery(
            reduce=self.reduce,
            query=default if self.query is None else self.query,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
        )


class EmbeddingOptions(Body):
    """What is asked of the inputs, however they come."""

    model: StrictStr
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = Field(None, description="Keep the first dimensions only.")
    user: StrictStr | None = None
    truncate: StrictBool = Field(True, description="Cut a text that is too long, instead of refusing it.")
    attention: Annotated[AttentionRequest | None, BeforeValidator(_as_object)] = Field(
        None, json_schema_extra={"examples": [True, {"reduce": "raw"}]}
    )

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Options in the URL, beside a body that is an image: `attention` is true, false or what to reduce to."""
        if not query.keys() <= cls.model_fields.keys():
            known = ", ".join(cls.model_fields)
            raise InvalidParameter(f"the URL takes {known}; for more options send the image in JSON", "query")
        fields: dict[str, object] = dict(query)
        dimensions, attention = query.get("dimensions", ""), query.get("attention")
        if query.get("truncate") in ("true", "false"):
            fields["truncate"] = query["truncate"] == "true"
        if dimensions.isascii() and dimensions.isdecimal():
            fields["dimensions"] = int(dimensions[:10])
        if attention is not None:
            fields["attention"] = attention == "true" if attention in ("true", "false") else {"reduce": attention}
        return cls.parse(fields, max_items=1)

    def asked(self, inputs: Sequence[Input]) -> Asked:
        """The request that this is."""
        return Asked(
            inputs,
            model=self.model,
            dimensions=self.dimensions,
            truncate=self.truncate,
            attention=self.attention.to_query() if self.attention else None,
        )


class EmbeddingsRequest(EmbeddingOptions):
    """`POST /v1/embeddings`"""

    INPUT: ClassVar[str] = 'an input is a string, token ids, {"text": string} or {"image": string}'

    input: Inputs
    modality: Modality | None = Field(None, description='What plain strings of `input` are: "image" for base64.')

    def inputs(self) -> list[Input]:
        """As every dialect gives them."""
        return [self._input(value) for value in self.input]

    def _input(self, value: str | list[int] | TextItem | ImageItem) -> Input:
        match value:
            case TextItem():
                return value.text
            case ImageItem():
                return Image(value.image)
            case str() if self.modality == "image":
                return Image(value)
        return to_input(value)
