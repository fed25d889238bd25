"""Texts, token ids and images as JSON, alone or in one list."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StrictStr, WithJsonSchema

from models.contract.manifest import Modality
from service.dialects.inputs import IDS_SCHEMA, Ids, as_list, to_input
from service.http.asked import Image, Input

MIXED_INPUT = 'an input is a string, token ids, {"text": string} or {"image": string}'
"""What is said of one that is none."""

IMAGE_FORM = "A JPEG, PNG or WebP file in base64, bare or as data:image/png;base64,..."

_INPUT_SCHEMAS: list[dict[str, Any]] = [
    {"type": "string"},
    IDS_SCHEMA,
    {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}, "maxProperties": 1},
    {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"type": "string", "description": IMAGE_FORM}},
        "maxProperties": 1,
    },
]
INPUT_SCHEMA = {"anyOf": _INPUT_SCHEMAS}
INPUTS_SCHEMA = {
    "anyOf": [*_INPUT_SCHEMAS, {"type": "array", "items": INPUT_SCHEMA, "minItems": 1}],
}


def _one_field(value: object) -> object:
    if isinstance(value, dict) and len(value) != 1:
        raise ValueError("an input is one text or one image")
    return value


class TextItem(BaseModel):
    text: StrictStr


class ImageItem(BaseModel):
    image: StrictStr


MixedInput = (
    StrictStr
    | Ids
    | Annotated[TextItem, BeforeValidator(_one_field)]
    | Annotated[ImageItem, BeforeValidator(_one_field)]
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
