"""Texts, token ids and images in JSON, as several APIs have them."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, RootModel, StrictInt, StrictStr, WithJsonSchema

from service.errors import UnsupportedMediaType
from service.http import body
from service.http.request import HttpRequest
from service.pipeline.types import Input, TokenIds

MAX_TOKEN_IDS = 131_072
"""Of one text: more than any model's limit, and so few that checking them takes no time."""

IDS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0},
    "minItems": 1,
    "maxItems": MAX_TOKEN_IDS,
    "description": "Token ids of this model, special tokens included.",
}

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
"""What an image can be sent as, as the body itself."""

TEXT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "maxProperties": 1,
}
IMAGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "string",
            "description": "A JPEG, PNG or WebP file in base64, bare or as data:image/png;base64,...",
        }
    },
    "maxProperties": 1,
}

Ids = Annotated[list[StrictInt], Field(min_length=1, max_length=MAX_TOKEN_IDS, fail_fast=True)]


def is_image(request: HttpRequest) -> bool:
    """Whether the body is an image itself, and else JSON. Raises UnsupportedMediaType for what is neither."""
    kind = body.media_type(request)
    if kind not in (body.JSON, *IMAGE_TYPES):
        types = ", ".join(IMAGE_TYPES)
        raise UnsupportedMediaType(f"send the body as Content-Type: {body.JSON}, or an image as {types}")
    return kind in IMAGE_TYPES


def as_list(value: object) -> object:
    """One input stands for a list of one; so does one text as its ids."""
    is_single = isinstance(value, str | dict) or (isinstance(value, list) and value and isinstance(value[0], int))
    return [value] if is_single else value


def exactly_one_key(value: object) -> object:
    """For objects that are a text or an image. Raises ValueError for both, and for neither."""
    if isinstance(value, dict) and len(value) != 1:
        raise ValueError("an input must be exactly one text or one image")
    return value


class TextInput(BaseModel):
    text: StrictStr


class ImageInput(BaseModel):
    image: StrictStr


def to_input(value: str | list[int]) -> Input:
    """As the path of a request takes it."""
    return value if isinstance(value, str) else TokenIds(value)


_STRINGS_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}
Strings = Annotated[
    list[StrictStr], Field(min_length=1, fail_fast=True), BeforeValidator(as_list), WithJsonSchema(_STRINGS_SCHEMA)
]


class Vectors(RootModel[list[list[float]]]):
    """One for each input."""
