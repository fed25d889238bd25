"""The request of `/v1/attention/image`, as pydantic models."""

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema

from service.dialects.attending import AttentionRequest
from service.dialects.inputs import IMAGE_SCHEMA, TEXT_SCHEMA, ImageItem, TextItem, one_field
from service.errors import InvalidParameter
from service.http import numbers
from service.http.asked import Asked, Image, Input
from service.http.validation import Body, whole
from service.pictures.page import LEAST_WIDTH_PX, MOST_WIDTH_PX

NOT_DRAWN = ("top_k", "encoding")
"""Of what attention may be asked for, what says how numbers are written."""

_INPUT_SCHEMA = {"anyOf": [{"type": "string"}, TEXT_SCHEMA, IMAGE_SCHEMA]}


def _as_object(value: object) -> object:
    if value is True:
        return {}
    if isinstance(value, dict) and len(value) <= len(AttentionRequest.model_fields):
        return value
    raise ValueError("must be true, or an object of the fields that attention has")


class AttentionImageOptions(Body):
    """What is drawn, however the input comes."""

    LISTS: ClassVar[tuple[str, ...]] = ("input",)
    INPUT: ClassVar[str] = 'an input is one string, {"text": string} or {"image": string}'

    model: StrictStr
    attention: Annotated[AttentionRequest, BeforeValidator(_as_object)] = Field(
        default_factory=AttentionRequest,
        description="As in /v1/embeddings, without top_k and encoding; true for all defaults.",
        json_schema_extra={"examples": [True, {"reduce": "raw"}]},
    )
    width_px: Annotated[
        Annotated[StrictInt, Field(ge=LEAST_WIDTH_PX, le=MOST_WIDTH_PX)] | None, BeforeValidator(whole)
    ] = Field(None, description="Width of the answer; the image's own within 400 to 2000, or 800 for a text.")

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Options in the URL, beside a body that is an image; lists of layers and heads with commas."""
        known = ("model", "width_px", *_IN_URL)
        if not query.keys() <= set(known):
            raise InvalidParameter(f"the URL takes {', '.join(known)}", "query")
        fields: dict[str, object] = {name: query[name] for name in ("model",) if name in query}
        if "width_px" in query:
            fields["width_px"] = numbers.of_url(query["width_px"])
        fields["attention"] = {name: _IN_URL[name](query[name]) for name in _IN_URL if name in query}
        return cls.parse(fields, max_items=1)

    def asked(self, value: Input) -> Asked:
        """The request that this is. Raises InvalidParameter for what is of numbers alone."""
        for name in NOT_DRAWN:
            if name in self.attention.model_fields_set:
                raise InvalidParameter(f"{name} is for numbers; a picture has none", f"attention.{name}")
        return Asked([value], model=self.model, attention=self.attention.to_query(), names=lambda _: "input")


class AttentionImageRequest(AttentionImageOptions):
    """`POST /v1/attention/image`"""

    input: Annotated[StrictStr | TextItem | ImageItem, BeforeValidator(one_field), WithJsonSchema(_INPUT_SCHEMA)]

    def value(self) -> Input:
        """As every dialect gives it."""
        match self.input:
            case TextItem():
                return self.input.text
            case ImageItem():
                return Image(self.input.image)
        return self.input


def _numbers(text: str) -> object:
    """`0,3` as indices; a word, such as all, as it is."""
    parts = text.split(",")
    return list(map(numbers.of_url, parts)) if parts[0].isdecimal() else text


_IN_URL: dict[str, Callable[[str], object]] = {
    "reduce": str,
    "query": numbers.of_url,
    "layers": _numbers,
    "heads": _numbers,
}
