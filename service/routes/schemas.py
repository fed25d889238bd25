"""The OpenAI dialect's request and answers, as pydantic models: validation and the OpenAPI document come from here."""

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from models.contract.tensors import Reduction
from service.engine.attention import AttentionQuery
from service.errors import InvalidInput, InvalidJson, InvalidParameter, RequestError

TEXTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_object(value: object) -> object:
    if isinstance(value, dict) and len(value) > len(AttentionRequest.model_fields):
        raise ValueError("there are fields that attention does not have")
    return {} if value is True else None if value is False else value


# fail_fast: an error for each of a million wrong elements would take seconds and gigabytes.
Texts = Annotated[
    list[StrictStr], Field(min_length=1, fail_fast=True), BeforeValidator(_as_list), WithJsonSchema(TEXTS_SCHEMA)
]
Indices = Annotated[
    tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1, max_length=1_024, fail_fast=True)
]


class AttentionRequest(BaseModel):
    """Which attention to answer with; `true` stands for all defaults."""

    model_config = ConfigDict(extra="forbid")

    reduce: Literal[Reduction, "raw"] = Field(
        "rollout", description="How layers and heads are reduced, or raw weights."
    )
    query: Literal["pool", "all"] | Annotated[StrictInt, Field(ge=0)] | None = Field(
        None, description="Whose attention: the pooled item's, every token's, or one's. Default pool; all with raw."
    )
    layers: Literal["all"] | Indices = Field("all", description="With raw: which layers.")
    heads: Literal["all"] | Indices = Field("all", description="With raw: which heads.")
    encoding: Literal["json", "base64"] = Field("json", description="Nested lists, or float16 in base64.")

    def to_query(self) -> AttentionQuery:
        default: Literal["pool", "all"] = "all" if self.reduce == "raw" else "pool"
        return AttentionQuery(
            reduce=self.reduce,
            query=default if self.query is None else self.query,
            layers=None if self.layers == "all" else self.layers,
            heads=None if self.heads == "all" else self.heads,
        )


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`"""

    model: StrictStr
    input: Texts
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[StrictInt, Field(ge=1)] | None = Field(None, description="Keep the first dimensions only.")
    user: StrictStr | None = None
    truncate: StrictBool = Field(True, description="Cut a text that is too long, instead of refusing it.")
    attention: Annotated[AttentionRequest | None, BeforeValidator(_as_object)] = Field(
        None, json_schema_extra={"examples": [True, {"reduce": "raw"}]}
    )

    @classmethod
    def parse(cls, body: object) -> Self:
        """Validate a parsed body. Raises InvalidJson, or InvalidInput or InvalidParameter naming the field."""
        if not isinstance(body, dict):
            raise InvalidJson("the body is not an object")
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise _first_problem(error) from None


# An option whose value is known to be impossible is a parameter problem, a field of another kind an input problem.
_PARAMETER_PROBLEMS = {"literal_error", "greater_than_equal", "extra_forbidden"}


def _first_problem(error: ValidationError) -> RequestError:
    problems = error.errors(include_url=False, include_input=False)
    # Each branch of a union reports; the deepest, and of those the last, is the one that was meant.
    same_field = [problem for problem in problems if problem["loc"][:2] == problems[0]["loc"][:2]]
    problem = max(reversed(same_field), key=lambda problem: len(problem["loc"]))
    fields = [part for part in problem["loc"] if isinstance(part, int) or part in _FIELDS]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fields).removeprefix(".")
    kind = InvalidParameter if problem["type"] in _PARAMETER_PROBLEMS else InvalidInput
    return kind(f"{param}: {problem['msg']}", param)


class Token(BaseModel):
    """A token and where it stands in the caller's own text, in code points; start == end marks a special token."""

    text: str
    start: int
    end: int


class AttentionAnswer(BaseModel):
    reduce: str
    query: str | int
    shape: list[int]
    values: list[float] | list[list[float]] | list[object] | str
    tokens: list[Token]
    grid: None = None


class EmbeddingObject(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    truncated: bool
    attention: AttentionAnswer | None = None


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"]
    model: str
    data: list[EmbeddingObject]
    usage: Usage


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorResponse(BaseModel):
    error: ErrorObject
    detail: str


class ModelObject(BaseModel):
    """A served model. `provider` is the execution provider of each graph as its session reports it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    modality: str
    architecture: str
    dimensions: int
    max_tokens: int
    pooling: str
    precision: str
    attention: dict[str, int]
    provider: dict[str, str]


class ModelsResponse(BaseModel):
    object: Literal["list"]
    data: list[ModelObject]


_FIELDS = {*EmbeddingsRequest.model_fields, *AttentionRequest.model_fields}
