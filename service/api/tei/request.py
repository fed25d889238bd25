"""Request and response models of text-embeddings-inference.

`model` is ours: that server has one model, here the first that takes texts is meant unless another is named.
"""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, RootModel, StrictBool, StrictStr, WithJsonSchema

from models.preprocess.text import KeptSide
from service.api.common.inputs import IDS_SCHEMA, Ids, Strings, as_list, to_input
from service.http.validation import Dimensions, RequestModel
from service.pipeline.types import InferenceRequest

_TEXT_SCHEMA: list[dict[str, Any]] = [{"type": "string"}, IDS_SCHEMA]
Texts = Annotated[
    list[StrictStr | Ids],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(as_list),
    WithJsonSchema({"anyOf": [*_TEXT_SCHEMA, {"type": "array", "items": {"anyOf": _TEXT_SCHEMA}, "minItems": 1}]}),
]
IdLists = Annotated[list[Ids], Field(min_length=1, fail_fast=True), BeforeValidator(as_list)]
Direction = Literal["right", "left", "Right", "Left"]


class Truncation(BaseModel):
    """Truncation of long texts, and the prompt before each text."""

    truncate: StrictBool | None = Field(None, description="Truncate a text that is too long (default), or reject it.")
    truncation_direction: Direction = Field("right", description="The side to truncate.")
    prompt_name: StrictStr | None = Field(None, description="One of the model's prompts.")

    @property
    def kept_side(self) -> KeptSide:
        return "end" if self.truncation_direction.lower() == "left" else "start"


class EmbedAllRequest(Truncation, RequestModel):
    """`POST /embed_all`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("inputs",)
    INPUT_DESCRIPTION: ClassVar[str] = "an input must be a string or token ids"

    inputs: Texts
    model: StrictStr | None = None

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest."""
        return InferenceRequest(
            [to_input(value) for value in self.inputs],
            model=self.model,
            input_path="inputs[{}]".format,
            truncate=self.truncate is not False,
            kept=self.kept_side,
            prompt=self.prompt_name,
        )


class TeiEmbedRequest(EmbedAllRequest):
    """`POST /embed`"""

    normalize: StrictBool = Field(True, description="Scale vectors to length 1.")
    dimensions: Dimensions | None = Field(None, description="Keep the first dimensions only.")

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest."""
        return replace(super().to_inference_request(), dimensions=self.dimensions, normalize=self.normalize)


class Sentences(BaseModel):
    source_sentence: StrictStr
    sentences: Annotated[list[StrictStr], Field(fail_fast=True)]


class SimilarityRequest(RequestModel):
    """`POST /similarity`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ()

    inputs: Sentences
    parameters: Truncation | None = None
    model: StrictStr | None = None

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest: the source first, then the sentences compared with it."""
        options = self.parameters or Truncation()
        return InferenceRequest(
            [self.inputs.source_sentence, *self.inputs.sentences],
            model=self.model,
            input_path=lambda place: f"inputs.sentences[{place - 1}]" if place else "inputs.source_sentence",
            normalize=True,
            truncate=options.truncate is not False,
            kept=options.kept_side,
            prompt=options.prompt_name,
        )


class TokenizeRequest(RequestModel):
    """`POST /tokenize`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("inputs",)

    inputs: Strings
    add_special_tokens: StrictBool = True
    prompt_name: StrictStr | None = None
    model: StrictStr | None = None


class DecodeRequest(RequestModel):
    """`POST /decode`"""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("ids",)
    INPUT_DESCRIPTION: ClassVar[str] = "must be token ids or a list of token ids"

    ids: IdLists
    skip_special_tokens: StrictBool = True
    model: StrictStr | None = None


class TokenVectors(RootModel[list[list[list[float]]]]):
    """For each text, one for each of its tokens, special ones too."""


class SparseEntry(BaseModel):
    index: int
    value: float


class SparseVectors(RootModel[list[list[SparseEntry]]]):
    """For each text, the entries of its sparse vector that are not 0, by ascending index."""


class Similarities(RootModel[list[float]]):
    """Cosine of the source with each sentence."""


class Decoded(RootModel[list[str]]):
    """One for each list of ids."""


class TeiToken(BaseModel):
    """`start` and `stop` are UTF-8 byte offsets, as in that server; special tokens have none."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class TokenLists(RootModel[list[list[TeiToken]]]):
    """One for each text."""


class Info(BaseModel):
    """Description of the default model."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    served_model_name: str
    model_type: dict[str, dict[str, Any]]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None
    docker_label: str | None


class TeiError(BaseModel):
    error: str
    error_type: Literal["Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer", "Empty"]
