"""Request models of the OpenAI API, for validation and the OpenAPI document."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictStr

from models.artifact.manifest import Modality
from service.api.common.attention_schema import Attention
from service.api.common.multimodal_inputs import MULTIMODAL_INPUT_DESCRIPTION, MultimodalInputs, to_multimodal_input
from service.errors import InvalidParameter
from service.http import request
from service.http.validation import Dimensions, RequestModel
from service.pipeline.types import EmbedRequest, Input


class EmbeddingOptions(RequestModel):
    """What is asked of the inputs, however they come."""

    model: StrictStr
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = Field(None, description="Keep the first dimensions only.")
    user: StrictStr | None = None
    truncate: StrictBool = Field(True, description="Truncate a text that is too long, or reject it.")
    attention: Attention = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Parse the URL's options when the body is an image; `attention` is true, false or a reduction."""
        if not query.keys() <= cls.model_fields.keys():
            known = ", ".join(cls.model_fields)
            raise InvalidParameter(f"query parameters are {known}; for others send the image as JSON", "query")
        fields: dict[str, object] = dict(query)
        attention = query.get("attention")
        if query.get("truncate") in ("true", "false"):
            fields["truncate"] = query["truncate"] == "true"
        if "dimensions" in query:
            fields["dimensions"] = request.parse_query_int(query["dimensions"])
        if attention is not None:
            fields["attention"] = attention == "true" if attention in ("true", "false") else {"reduce": attention}
        return cls.parse(fields, max_inputs=1)

    def to_embed_request(self, inputs: Sequence[Input]) -> EmbedRequest:
        """Convert to an EmbedRequest."""
        return EmbedRequest(
            inputs,
            model=self.model,
            dimensions=self.dimensions,
            truncate=self.truncate,
            attention=self.attention.to_options() if self.attention else None,
        )


class EmbeddingsRequest(EmbeddingOptions):
    """`POST /v1/embeddings`"""

    INPUT_DESCRIPTION: ClassVar[str] = MULTIMODAL_INPUT_DESCRIPTION

    input: MultimodalInputs
    modality: Modality | None = Field(None, description='What plain strings of `input` are: "image" for base64.')

    def inputs(self) -> list[Input]:
        """As every dialect gives them."""
        return [to_multimodal_input(value, self.modality) for value in self.input]
