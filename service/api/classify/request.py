"""Request and response models of classification.

`/predict` and `/predict_tokens` take text-embeddings-inference's body and, marked by its `parameters`, that of Hugging
Face's client; `/classify` takes vLLM's and, marked by `raw_scores`, infinity's.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, RootModel, StrictBool, StrictInt, StrictStr, WithJsonSchema

from models.artifact.manifest import Modality
from models.artifact.specs import Activation
from models.preprocess.model_input import TextPair
from service.api.common.attention import Attention
from service.api.common.inputs import (
    IMAGE_SCHEMA,
    PAIR_SCHEMA,
    TEXT_SCHEMA,
    Ids,
    ImageInput,
    PairInput,
    TextInput,
    as_list,
    exactly_one_key,
    to_multimodal_input,
)
from service.api.rerank.request import TokenUsage
from service.api.tei.request import TeiError, Truncation
from service.http.error_responses import ErrorResponse, PlainError
from service.http.validation import RequestModel, integral
from service.pipeline.scores import Aggregation
from service.pipeline.types import InferenceRequest, Input

_INPUT_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, TEXT_SCHEMA, PAIR_SCHEMA, IMAGE_SCHEMA]}


ClassifyInput = (
    StrictStr
    | Ids
    | PairInput
    | Annotated[TextInput, BeforeValidator(exactly_one_key)]
    | Annotated[ImageInput, BeforeValidator(exactly_one_key)]
)
TopK = Annotated[Annotated[StrictInt, Field(ge=1)], BeforeValidator(integral)]


class ClassifyOptions(RequestModel):
    """Options of the inputs, for a JSON body and for the URL."""

    model: StrictStr | None = Field(None, description="Default: the first model that classifies the first input.")
    top_k: TopK | None = Field(None, description="Return the best labels only.")
    attention: Attention = None

    def to_inference_request(self, inputs: list[Input], *, truncate: bool = True) -> InferenceRequest:
        """Convert to an InferenceRequest."""
        return InferenceRequest(
            inputs,
            model=self.model,
            task="classify",
            truncate=truncate,
            attention=self.attention.to_options() if self.attention else None,
        )


class ClassifyRequest(ClassifyOptions):
    """`POST /classify` and `/v1/classify`: texts, pairs of texts, or images."""

    INPUT_DESCRIPTION: ClassVar[str] = (
        'an input must be a string, token ids, {"text": string}, {"text": string, "text_pair": string} or '
        '{"image": string}'
    )

    input: Annotated[
        list[ClassifyInput],
        Field(min_length=1, fail_fast=True),
        BeforeValidator(as_list),
        WithJsonSchema({"anyOf": [_INPUT_SCHEMA, {"type": "array", "items": _INPUT_SCHEMA, "minItems": 1}]}),
    ]
    modality: Modality | None = Field(None, description='What plain strings of `input` are: "image" for base64.')
    truncate: StrictBool = Field(True, description="Truncate a text that is too long, or reject it.")
    raw_scores: StrictBool | None = Field(None, description="Logits instead of scores; infinity's mark.")
    use_activation: StrictBool | None = Field(None, description="False for logits.")

    def inputs(self) -> list[Input]:
        """As every dialect gives them."""
        return [
            TextPair(value.text, value.text_pair)
            if isinstance(value, PairInput)
            else to_multimodal_input(value, self.modality)
            for value in self.input
        ]

    @property
    def raw(self) -> bool:
        return self.raw_scores is True or self.use_activation is False


class PredictParameters(BaseModel):
    """Options of Hugging Face's client; others are ignored."""

    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    top_k: TopK | None = None
    aggregation_strategy: Aggregation | None = None
    ignore_labels: Annotated[list[StrictStr], Field(max_length=1_000, fail_fast=True)] | None = None


class PredictRequest(Truncation, RequestModel):
    """`POST /predict`: a text, `[a, b]` for a pair, or a list of `[a]` and `[a, b]`."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("inputs",)
    INPUT_DESCRIPTION: ClassVar[str] = "inputs must be a string, a pair of strings, or a list of lists of one or two"

    inputs: (
        StrictStr
        | Annotated[list[StrictStr], Field(min_length=1, max_length=2)]
        | Annotated[
            list[Annotated[list[StrictStr], Field(min_length=1, max_length=2)]], Field(min_length=1, fail_fast=True)
        ]
    )
    raw_scores: StrictBool = Field(False, description="Logits instead of scores.")
    parameters: PredictParameters | None = None
    model: StrictStr | None = None

    @property
    def is_batch(self) -> bool:
        return isinstance(self.inputs, list) and isinstance(self.inputs[0], list)

    def texts(self) -> list[Input]:
        """Return the texts and pairs. A list of two strings is a pair."""
        sources: list[Any] = list(self.inputs) if self.is_batch else [self.inputs]
        return [_to_text_or_pair(source) for source in sources]

    @property
    def activation(self) -> Activation | None:
        """The activation that is asked for; None for the model's own."""
        return "none" if self.raw_scores else self.parameters.function_to_apply if self.parameters else None

    def to_inference_request(self) -> InferenceRequest:
        """Convert to an InferenceRequest."""
        return InferenceRequest(
            self.texts(),
            model=self.model,
            task="classify",
            truncate=self.truncate is not False,
            kept=self.kept_side,
            prompt=self.prompt_name,
            input_path="inputs[{}]".format,
        )


class TokensRequest(PredictRequest):
    """`POST /predict_tokens`: labels of tokens."""

    INPUT_DESCRIPTION: ClassVar[str] = PredictRequest.INPUT_DESCRIPTION

    aggregation_strategy: Aggregation | None = Field(None, description="How tokens are put together to entities.")

    @property
    def strategy(self) -> Aggregation:
        given = self.aggregation_strategy or (self.parameters.aggregation_strategy if self.parameters else None)
        return given or ("none" if self.is_batch else "simple")


class NerRequest(RequestModel):
    """`POST /ner/`, Weaviate's."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ()

    text: StrictStr


def _to_text_or_pair(source: str | list[str]) -> Input:
    if isinstance(source, str):
        return source
    return source[0] if len(source) == 1 else TextPair(*source)


class Label(BaseModel):
    label: str
    score: float


class ClassifyObject(BaseModel):
    """`probs` are in the order of the model's labels, `labels` the best first."""

    index: int
    label: str
    probs: list[float]
    num_classes: int
    labels: list[Label]
    truncated: bool
    attention: dict[str, Any] | None = None


class ClassifyResponse(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[ClassifyObject]
    usage: TokenUsage


class InfinityClassifyResponse(BaseModel):
    id: str
    object: Literal["classify"]
    created: int
    model: str
    data: list[list[Label]]
    usage: TokenUsage


class ClassificationResponse(RootModel[ClassifyResponse | InfinityClassifyResponse]):
    """By the body: vLLM's, or infinity's."""


class Labels(RootModel[list[Label] | list[list[Label]]]):
    """The labels of one input, or of each input of a batch, the best first."""


class TokenLabels(BaseModel):
    token: str
    token_id: int
    start: int
    end: int
    input: int | None = None
    results: dict[str, float]


class EntityObject(BaseModel):
    """`entity_group` is an entity put together of tokens, `entity` the label of one token."""

    entity_group: str | None = None
    entity: str | None = None
    score: float
    word: str
    start: int
    end: int
    index: int | None = None
    input: int | None = None


class TokenLabelsResponse(RootModel[list[EntityObject] | list[list[TokenLabels] | list[EntityObject]]]):
    """Entities of one text; of a batch, the labels of the tokens, or entities, of each."""


class NerToken(BaseModel):
    entity: str
    certainty: float
    distance: float
    word: str
    startPosition: int  # noqa: N815  # Weaviate's spelling
    endPosition: int  # noqa: N815


class NerResponse(BaseModel):
    tokens: list[NerToken]


class ClassificationError(RootModel[ErrorResponse | TeiError | PlainError]):
    """Of `/predict` and `/predict_tokens` as text-embeddings-inference has it, of `/ner/` as Weaviate has it."""
