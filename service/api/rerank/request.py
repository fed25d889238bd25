"""Request models of reranking and scoring.

One path serves several dialects, so the body says which: `texts` are text-embeddings-inference's, a `property` is
Weaviate's, `raw_scores` are infinity's, and without a mark the body is Jina's, which vLLM and Cohere share.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field, RootModel, StrictBool, StrictInt, StrictStr, WithJsonSchema

from service.api.common.attention import Attention
from service.api.tei.request import TeiError, Truncation
from service.errors import EmptyInput, InvalidInput
from service.http.error_responses import ErrorResponse, PlainError
from service.http.validation import RequestModel, integral
from service.pipeline.score import ScoreRequest

_TEXT_SCHEMA: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
]


def _text_of(value: object) -> object:
    """Return the text of `{"text": ...}`, and of vLLM's content with one text."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return value["text"]
    content = value.get("content") if isinstance(value, dict) else None
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        return content[0].get("text") if content[0].get("type") == "text" else value
    return value


Text = Annotated[StrictStr, BeforeValidator(_text_of), WithJsonSchema({"anyOf": _TEXT_SCHEMA})]
Documents = Annotated[
    list[Text],
    Field(min_length=1, fail_fast=True),
    WithJsonSchema({"type": "array", "items": {"anyOf": _TEXT_SCHEMA}, "minItems": 1}),
]
Query = Annotated[Text, Field(description="What the documents are ranked for.")]
TopN = Annotated[Annotated[StrictInt, Field(ge=0)], BeforeValidator(integral)]
PositiveInt = Annotated[Annotated[StrictInt, Field(ge=1)], BeforeValidator(integral)]


class PairOptions(RequestModel):
    """What the requests of all dialects have in common."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("documents",)
    INPUT_DESCRIPTION: ClassVar[str] = 'a document must be a string or {"text": string}'

    model: StrictStr | None = None
    attention: Attention = None


def check_query(query: str, param: str = "query") -> str:
    """Return the query. Raises EmptyInput for one without a character to be seen."""
    if not query.strip():
        raise EmptyInput(f"{param} must not be empty", param)
    return query


class RerankRequest(PairOptions):
    """`POST /v1/rerank`: Jina's request, with what vLLM, infinity and Cohere's first version add to it."""

    query: Query
    documents: Documents
    top_n: TopN | None = Field(None, description="Keep the most relevant documents only; 0 keeps all.")
    return_documents: StrictBool | None = Field(None, description="Repeat each document (default, but for infinity).")
    max_tokens_per_doc: PositiveInt | None = Field(None, description="Cut each document at as many tokens.")
    truncate: StrictBool = Field(True, description="Truncate a pair that is too long, or reject it.")
    raw_scores: StrictBool | None = Field(None, description="Logits instead of scores from 0 to 1; infinity's mark.")

    def to_score_request(self) -> ScoreRequest:
        """Convert to a ScoreRequest. Raises EmptyInput."""
        return ScoreRequest(
            [check_query(self.query)],
            self.documents,
            model=self.model,
            truncate=self.truncate,
            max_document_tokens=self.max_tokens_per_doc,
            attention=self.attention.to_options() if self.attention else None,
        )


class TeiRerankRequest(Truncation, RequestModel):
    """`POST /rerank` of text-embeddings-inference."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = ("texts",)
    INPUT_DESCRIPTION: ClassVar[str] = "a text must be a string"

    query: StrictStr
    texts: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)]
    raw_scores: StrictBool = Field(False, description="Logits instead of scores from 0 to 1.")
    return_text: StrictBool = Field(False, description="Repeat each text.")
    model: StrictStr | None = None
    attention: Attention = None

    def to_score_request(self) -> ScoreRequest:
        """Convert to a ScoreRequest. Raises EmptyInput."""
        return ScoreRequest(
            [check_query(self.query)],
            self.texts,
            model=self.model,
            truncate=self.truncate is not False,
            kept=self.kept_side,
            attention=self.attention.to_options() if self.attention else None,
            document_path="texts[{}]".format,
        )


class WeaviateRerankRequest(PairOptions):
    """`POST /rerank` of Weaviate's reranker-transformers."""

    query: StrictStr
    documents: Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)]
    property: StrictStr = ""

    def to_score_request(self) -> ScoreRequest:
        """Convert to a ScoreRequest. Raises EmptyInput."""
        return ScoreRequest([check_query(self.query)], self.documents, model=self.model)


_TEXTS_SCHEMA = {"anyOf": [*_TEXT_SCHEMA, {"type": "array", "items": {"anyOf": _TEXT_SCHEMA}, "minItems": 1}]}


def _as_texts(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


Texts = Annotated[
    list[Text],
    Field(min_length=1, fail_fast=True),
    BeforeValidator(_as_texts),
    WithJsonSchema(_TEXTS_SCHEMA),
]

_QUERY_NAMES, _DOCUMENT_NAMES = ("queries", "text_1", "data_1"), ("documents", "items", "text_2", "data_2")


class ScoresRequest(PairOptions):
    """`POST /score`, vLLM's: one query with each document, or as many queries as documents."""

    INPUT_FIELDS: ClassVar[tuple[str, ...]] = (*_QUERY_NAMES, *_DOCUMENT_NAMES)
    INPUT_DESCRIPTION: ClassVar[str] = "must be a string or a list of strings"

    queries: Texts | None = Field(None, description="Also `text_1` or `data_1`.")
    documents: Texts | None = Field(None, description="Also `items`, `text_2` or `data_2`.")
    items: Texts | None = None
    text_1: Texts | None = None
    text_2: Texts | None = None
    data_1: Texts | None = None
    data_2: Texts | None = None
    truncate: StrictBool = Field(True, description="Truncate a pair that is too long, or reject it.")
    use_activation: StrictBool | None = Field(None, description="False for logits.")

    def to_score_request(self) -> ScoreRequest:
        """Convert to a ScoreRequest. Raises InvalidInput unless there are queries and documents that go together."""
        query_name, queries = self._given(_QUERY_NAMES)
        name, documents = self._given(_DOCUMENT_NAMES)
        for i, query in enumerate(queries):
            check_query(query, query_name if len(queries) == 1 else f"{query_name}[{i}]")
        if len(queries) not in (1, len(documents)):
            raise InvalidInput(
                f"{query_name} has {len(queries)} texts and {name} {len(documents)}; give one query, or as many as "
                "documents",
                query_name,
            )
        return ScoreRequest(
            queries,
            documents,
            model=self.model,
            truncate=self.truncate,
            attention=self.attention.to_options() if self.attention else None,
            query_path=f"{query_name}[{{}}]".format,
            document_path=f"{name}[{{}}]".format,
        )

    def _given(self, names: tuple[str, ...]) -> tuple[str, list[str]]:
        found = [(name, texts) for name in names if (texts := getattr(self, name)) is not None]
        if len(found) != 1:
            raise InvalidInput(f"give exactly one of {', '.join(names)}", names[0])
        return found[0]


class DocumentText(BaseModel):
    text: str


class RerankedDocument(BaseModel):
    index: int
    relevance_score: float
    document: DocumentText | str | None = None
    truncated: bool
    attention: dict[str, Any] | None = None


class TokenUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class RerankResponse(BaseModel):
    id: str
    object: Literal["rerank"]
    created: int
    model: str
    scoring: Literal["cross-encoder", "cosine"]
    results: list[RerankedDocument]
    usage: TokenUsage


class ScoreObject(BaseModel):
    index: int
    object: Literal["score"]
    score: float
    truncated: bool
    attention: dict[str, Any] | None = None


class ScoresResponse(BaseModel):
    id: str
    object: Literal["list"]
    created: int
    model: str
    scoring: Literal["cross-encoder", "cosine"]
    data: list[ScoreObject]
    usage: TokenUsage


class TeiRank(BaseModel):
    index: int
    score: float
    text: str | None = None
    attention: dict[str, Any] | None = None


class DocumentScore(BaseModel):
    document: str
    score: float


class WeaviateScores(BaseModel):
    query: str
    scores: list[DocumentScore]
    property: str


class RerankOrScoresResponse(RootModel[RerankResponse | list[TeiRank] | WeaviateScores]):
    """By the body: Jina's, that of text-embeddings-inference, or Weaviate's."""


class RerankError(RootModel[ErrorResponse | TeiError | PlainError]):
    """By the body, as the response is."""
