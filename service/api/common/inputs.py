"""Texts, token ids and images in JSON, as several APIs have them."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, RootModel, StrictInt, StrictStr, WithJsonSchema

from models.artifact.manifest import Modality
from service import limits
from service.errors import UnsupportedMediaType
from service.http import body
from service.http.request import HttpRequest
from service.pipeline.types import Image, Input, TokenIds

IDS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0},
    "minItems": 1,
    "maxItems": limits.MAX_TOKEN_IDS,
    "description": "Token ids of this model, special tokens included.",
}

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
"""Media types of an image sent as the body."""

TEXT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "maxProperties": 1,
}
PAIR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text", "text_pair"],
    "properties": {"text": {"type": "string"}, "text_pair": {"type": "string"}},
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

Ids = Annotated[list[StrictInt], Field(min_length=1, max_length=limits.MAX_TOKEN_IDS, fail_fast=True)]


def is_image(request: HttpRequest) -> bool:
    """Return whether the body is an image, otherwise it is JSON. Raises UnsupportedMediaType for other types."""
    kind = body.media_type(request)
    if kind == "image/jpg":  # common, though not a registered type
        return True
    if kind not in (body.JSON, *IMAGE_TYPES):
        types = ", ".join(IMAGE_TYPES)
        raise UnsupportedMediaType(f"send the body as Content-Type: {body.JSON}, or an image as {types}")
    return kind in IMAGE_TYPES


def as_list(value: object) -> object:
    """Wrap a single input, or the ids of a single text, in a list."""
    is_single = isinstance(value, str | dict) or (isinstance(value, list) and value and isinstance(value[0], int))
    return [value] if is_single else value


def exactly_one_key(value: object) -> object:
    """For objects that are a text or an image. Raises ValueError for both, and for neither."""
    if isinstance(value, dict) and len(value) != 1:
        raise ValueError("an input must be exactly one text or one image")
    return value


class TextInput(BaseModel):
    text: StrictStr


class PairInput(BaseModel):
    text: StrictStr
    text_pair: StrictStr


class ImageInput(BaseModel):
    image: StrictStr


def to_input(value: str | list[int]) -> Input:
    """Convert to a pipeline input."""
    return value if isinstance(value, str) else TokenIds(value)


_STRINGS_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}
Strings = Annotated[
    list[StrictStr], Field(min_length=1, fail_fast=True), BeforeValidator(as_list), WithJsonSchema(_STRINGS_SCHEMA)
]


class Vectors(RootModel[list[list[float]]]):
    """One for each input."""


MULTIMODAL_INPUT_DESCRIPTION = 'an input must be a string, token ids, {"text": string} or {"image": string}'
"""Error message for an input of another form."""

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


PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""Smallest image, for examples."""


class Token(BaseModel):
    """Token with its offsets in the client's own text, in code points; start == end marks a special token."""

    text: str
    start: int
    end: int


class Grid(BaseModel):
    """Patch grid of an image's weights: `prefix` positions outside of the image, then its patches row by row."""

    rows: int
    columns: int
    prefix: int = Field(description="Positions before the patches, such as CLS, with raw; 0 with every reduction.")
    boxes_px: list[tuple[float, float, float, float]] = Field(
        description="x0, y0, x1, y1 of each patch in the submitted image, after EXIF orientation."
    )
