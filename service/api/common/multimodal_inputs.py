"""Texts, token ids and images in JSON, alone or mixed in one list."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictStr, WithJsonSchema

from models.artifact.manifest import Modality
from service.api.common.inputs import (
    IDS_SCHEMA,
    IMAGE_SCHEMA,
    TEXT_SCHEMA,
    Ids,
    ImageInput,
    TextInput,
    as_list,
    exactly_one_key,
    to_input,
)
from service.pipeline.types import Image, Input

MULTIMODAL_INPUT_DESCRIPTION = 'an input must be a string, token ids, {"text": string} or {"image": string}'
"""What is said of one that is none."""

_INPUT_SCHEMAS: list[dict[str, Any]] = [{"type": "string"}, IDS_SCHEMA, TEXT_SCHEMA, IMAGE_SCHEMA]
INPUT_SCHEMA = {"anyOf": _INPUT_SCHEMAS}
INPUTS_SCHEMA = {
    "anyOf": [*_INPUT_SCHEMAS, {"type": "array", "items": INPUT_SCHEMA, "minItems": 1}],
}


MultimodalInput = (
    StrictStr
    | Ids
    | Annotated[TextInput, BeforeValidator(exactly_one_key)]
    | Annotated[ImageInput, BeforeValidator(exactly_one_key)]
)
# fail_fast: an error for each of a million wrong elements would take seconds and gigabytes.
MultimodalInputs = Annotated[
    list[MultimodalInput],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(as_list),
    WithJsonSchema(INPUTS_SCHEMA),
]


def to_multimodal_input(
    value: str | list[int] | TextInput | ImageInput, default_modality: Modality | None = None
) -> Input:
    """Convert to a pipeline input; a string is an image if `default_modality` is "image", otherwise a text."""
    match value:
        case TextInput():
            return value.text
        case ImageInput():
            return Image(value.image)
        case str() if default_modality == "image":
            return Image(value)
    return to_input(value)
