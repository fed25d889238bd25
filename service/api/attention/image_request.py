"""Request models of `/v1/attention/image`."""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema

from service.api.common.attention_schema import AttentionRequest
from service.api.common.inputs import IMAGE_SCHEMA, TEXT_SCHEMA, ImageInput, TextInput, exactly_one_key
from service.errors import InvalidParameter
from service.http import request
from service.http.validation import RequestModel, integral
from service.pipeline.types import EmbedRequest, Image, Input
from service.visualization.page import MAX_WIDTH_PX, MIN_WIDTH_PX

NUMERIC_ONLY_OPTIONS = ("top_k", "encoding")
"""Of what attention may be asked for, what says how numbers are written."""

_INPUT_SCHEMA = {"anyOf": [{"type": "string"}, TEXT_SCHEMA, IMAGE_SCHEMA]}


def _as_object(value: object) -> object:
    if value is True:
        return {}
    if isinstance(value, dict) and len(value) <= len(AttentionRequest.model_fields):
        return value
    raise ValueError("attention must be true or an attention object")


class AttentionImageOptions(RequestModel):
    """What is drawn, however the input comes."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("input",)
    INPUT_DESCRIPTION: ClassVar[str] = 'an input must be one string, {"text": string} or {"image": string}'

    model: StrictStr
    attention: Annotated[AttentionRequest, BeforeValidator(_as_object)] = Field(
        default_factory=AttentionRequest,
        description="As in /v1/embeddings, without top_k and encoding; true for all defaults.",
        json_schema_extra={"examples": [True, {"reduce": "raw"}]},
    )
    width_px: Annotated[
        Annotated[StrictInt, Field(ge=MIN_WIDTH_PX, le=MAX_WIDTH_PX)] | None, BeforeValidator(integral)
    ] = Field(None, description="Width of the PNG. Default: the image's own within 400 to 2000; 800 for a text.")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Parse the URL's options when the body is an image; lists of layers and heads are comma-separated."""
        known = ("model", "width_px", *_QUERY_PARSERS)
        if not query.keys() <= set(known):
            raise InvalidParameter(f"unknown query parameter; known are {', '.join(known)}", "query")
        fields: dict[str, object] = {name: query[name] for name in ("model",) if name in query}
        if "width_px" in query:
            fields["width_px"] = request.parse_query_int(query["width_px"])
        fields["attention"] = {name: _QUERY_PARSERS[name](query[name]) for name in _QUERY_PARSERS if name in query}
        return cls.parse(fields, max_inputs=1)

    def to_embed_request(self, value: Input) -> EmbedRequest:
        """Convert to an EmbedRequest. Raises InvalidParameter for options that only apply to numbers."""
        for name in NUMERIC_ONLY_OPTIONS:
            if name in self.attention.model_fields_set:
                raise InvalidParameter(f"{name} does not apply to images", f"attention.{name}")
        return EmbedRequest(
            [value], model=self.model, attention=self.attention.to_options(), input_path=lambda _: "input"
        )


class AttentionImageRequest(AttentionImageOptions):
    """`POST /v1/attention/image`"""

    input: Annotated[
        StrictStr | TextInput | ImageInput, BeforeValidator(exactly_one_key), WithJsonSchema(_INPUT_SCHEMA)
    ]

    def to_input(self) -> Input:
        """As every dialect gives it."""
        match self.input:
            case TextInput():
                return self.input.text
            case ImageInput():
                return Image(self.input.image)
        return self.input


def _indices(text: str) -> object:
    """`0,3` as indices; a word, such as all, as it is."""
    parts = text.split(",")
    return list(map(request.parse_query_int, parts)) if parts[0].isdecimal() else text


_QUERY_PARSERS: dict[str, Callable[[str], object]] = {
    "reduce": str,
    "query": request.parse_query_int,
    "layers": _indices,
    "heads": _indices,
}
