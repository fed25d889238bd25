"""The OpenAI dialect's request, as pydantic models: validation and the OpenAPI document come from here."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictStr

from models.contract.manifest import Modality
from service.dialects.attending import Attention
from service.dialects.mixed import MIXED_INPUT, MixedInputs, to_mixed_input
from service.errors import InvalidParameter
from service.http import numbers
from service.http.asked import Asked, Input
from service.http.validation import Body, Dimensions


class EmbeddingOptions(Body):
    """What is asked of the inputs, however they come."""

    model: StrictStr
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = Field(None, description="Keep the first dimensions only.")
    user: StrictStr | None = None
    truncate: StrictBool = Field(True, description="Cut a text that is too long, instead of refusing it.")
    attention: Attention = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Options in the URL, beside a body that is an image: `attention` is true, false or what to reduce to."""
        if not query.keys() <= cls.model_fields.keys():
            known = ", ".join(cls.model_fields)
            raise InvalidParameter(f"the URL takes {known}; for more options send the image in JSON", "query")
        fields: dict[str, object] = dict(query)
        attention = query.get("attention")
        if query.get("truncate") in ("true", "false"):
            fields["truncate"] = query["truncate"] == "true"
        if "dimensions" in query:
            fields["dimensions"] = numbers.of_url(query["dimensions"])
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

    INPUT: ClassVar[str] = MIXED_INPUT

    input: MixedInputs
    modality: Modality | None = Field(None, description='What plain strings of `input` are: "image" for base64.')

    def inputs(self) -> list[Input]:
        """As every dialect gives them."""
        return [to_mixed_input(value, self.modality) for value in self.input]
