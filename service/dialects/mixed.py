"""Texts, token ids and images as JSON, alone or in one list."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictStr, WithJsonSchema

from models.contract.manifest import Modality
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
from service.http.asked import Image, Input

MIXED_INPUT = 'an input is a string, token ids, {"text": string} or {"image": string}'
"""What is said of one that is none."""

_INPUT_SCHEMAS: list[dict[str, Any]] = [{"type": "string"}, IDS_SCHEMA, TEXT_SCHEMA, IMAGE_SCHEMA]
INPUT_SCHEMA = {"anyOf": _INPUT_SCHEMAS}
INPUTS_SCHEMA = {
    "anyOf": [*_INPUT_SCHEMAS, {"type": "array", "items": INPUT_SCHEMA, "minItems": 1}],
}


MixedInput = (
    StrictStr | Ids | Annotated[TextItem, BeforeValidator(one_field)] | Annotated[ImageItem, BeforeValidator(one_field)]
)
# fail_fast: an error for each of a million wrong elements would take seconds and gigabytes.
MixedInputs = Annotated[
    list[MixedInput],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(as_list),
    WithJsonSchema(INPUTS_SCHEMA),
]


def to_mixed_input(value: str | list[int] | TextItem | ImageItem, plain: Modality | None = None) -> Input:
    """As the path of a request takes it; `plain` is what strings are, texts unless told otherwise."""
    match value:
        case TextItem():
            return value.text
        case ImageItem():
            return Image(value.image)
        case str() if plain == "image":
            return Image(value)
    return to_input(value)
