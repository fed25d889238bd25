"""`POST /v1/embeddings` and `GET /v1/models`, extended with images, token ids and attention."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, StrictBool, StrictStr
from starlette.responses import Response

from models.artifact.manifest import Modality, Pooling, Task
from service.api.common.attention import Attention, attention_object, grid_info
from service.api.common.inputs import (
    IMAGE_TYPES,
    MULTIMODAL_INPUT_DESCRIPTION,
    PIXEL,
    Grid,
    MultimodalInputs,
    Token,
    is_image,
    to_multimodal_input,
)
from service.api.common.raw import RAW, accepts_raw, raw_response
from service.api.common.sparse import Sparse, SparseResponse, sparse_object
from service.errors import InvalidParameter
from service.http import body, request, responses
from service.http.endpoints import Dialect, Endpoint
from service.http.error_responses import ErrorResponse
from service.http.request import HttpRequest, infer_http
from service.http.responses import CHUNK_BYTES, JSON_NUMBER_BYTES, StreamedList, to_base64
from service.http.validation import Dimensions, RequestModel
from service.pipeline.types import Image, InferenceRequest, InferenceResult, Input, InputResult
from service.runtime.encoder import AnyEncoder


class EmbeddingOptions(RequestModel):
    """Options of the inputs, for a JSON body and for the URL."""

    model: StrictStr
    encoding_format: Literal["float", "base64"] | None = None
    embedding_type: Literal["float", "base64"] | None = Field(None, description="Another name of `encoding_format`.")
    dimensions: Dimensions | None = Field(None, description="Keep the first dimensions only.")
    user: StrictStr | None = None
    truncate: Literal["END", "START", "NONE"] | StrictBool = Field(
        True, description="Truncate a text that is too long (at its END or START), or reject it (false, NONE)."
    )
    normalize: StrictBool | None = Field(
        None, description="Scale embeddings to length 1; by default as the model does."
    )
    normalized: StrictBool | None = Field(None, description="Another name of `normalize`.")
    prompt_name: StrictStr | None = Field(None, description="One of the model's prompts.")
    input_type: StrictStr | None = Field(
        None, description="Selects the model's prompt of that purpose, if it has prompts."
    )
    task: StrictStr | None = Field(None, description="Another name of `input_type`.")
    attention: Attention = None
    sparse: Sparse = None

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

    @property
    def base64(self) -> bool:
        return bool(self._one_of("encoding_format", "embedding_type") == "base64")

    def _one_of(self, name: str, synonym: str) -> Any:
        """Return the value of two fields with one meaning. Raises InvalidParameter if they differ."""
        values = [value for value in (getattr(self, name), getattr(self, synonym)) if value is not None]
        if len(set(values)) > 1:
            raise InvalidParameter(f"{name} and {synonym} must not differ", synonym)
        return values[0] if values else None

    def _check_sparse_options(self) -> None:
        for name in ("dimensions", "normalize", "normalized", "encoding_format", "embedding_type"):
            if getattr(self, name) not in (None, "float"):
                raise InvalidParameter(f"{name} does not apply to sparse vectors", name)

    def to_inference_request(self, inputs: Sequence[Input]) -> InferenceRequest:
        """Convert to an InferenceRequest. Raises InvalidParameter for options of embeddings with sparse vectors."""
        if self.sparse:
            self._check_sparse_options()
        return InferenceRequest(
            inputs,
            model=self.model,
            task="sparse" if self.sparse else "embed",
            return_sparse_tokens=self.sparse is not None and self.sparse.tokens,
            dimensions=self.dimensions,
            truncate=self.truncate not in (False, "NONE"),
            kept="end" if self.truncate == "START" else "start",
            normalize=self._one_of("normalize", "normalized"),
            prompt=self.prompt_name,
            purpose=self._one_of("input_type", "task"),
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


class AttentionResponse(BaseModel):
    """Tokens for a text, a grid for an image."""

    reduce: str
    query: str | int
    shape: list[int]
    values: list[float] | list[list[float]] | list[object] | str
    indices: list[int] | list[list[int]] | list[object] | str = Field(
        [], description="Indices of `values` (only with top_k)."
    )
    tokens: list[Token] | None
    grid: Grid | None


class EmbeddingObject(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str | None = Field(None, description="Absent where sparse vectors are requested.")
    sparse: SparseResponse | None = None
    truncated: bool
    attention: AttentionResponse | None = None


class Usage(BaseModel):
    prompt_tokens: int = Field(description="Tokens of texts, positions of images.")
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"]
    model: str
    data: list[EmbeddingObject]
    usage: Usage


class ImageSize(BaseModel):
    rows_px: int
    columns_px: int


class ModelGrid(BaseModel):
    rows: int
    columns: int
    prefix: int


class ModelAttention(BaseModel):
    """`heads` is a number where all layers have as many, else one number a layer."""

    layers: int
    heads: int | list[int]


class ModelObject(BaseModel):
    """A served model. Vectors of models that name one `space` can be compared; models with a head have none.

    `provider` is the execution provider as the session reports it.
    """

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    modality: Modality
    architecture: str
    tasks: list[Task] = Field(description="What the model answers with; the first is its default.")
    labels: list[str] | None = Field(description="Labels of a model with a head.")
    dimensions: int | None
    space: str | None
    max_tokens: int | None
    image: ImageSize | None
    grid: ModelGrid | None
    pooling: Pooling
    precision: str
    attention: ModelAttention | None
    provider: str


class ModelsResponse(BaseModel):
    object: Literal["list"]
    data: list[ModelObject]


ENTRY_BYTES = 100
"""JSON bytes per entry, without the vector."""


async def embeddings_response(options: EmbeddingOptions, result: InferenceResult) -> Response:
    """Return the response of `/v1/embeddings`."""

    def entries() -> Iterator[dict[str, Any]]:
        for i, item in enumerate(result.outputs):
            entry = {"object": "embedding", "index": i, **_vector(options, item), "truncated": item.prepared.truncated}
            if options.attention is not None and item.attention is not None:
                entry["attention"] = attention_object(options.attention, item.attention, item)
            yield entry

    usage = {"prompt_tokens": result.num_tokens, "total_tokens": result.num_tokens}
    size = result.num_values * JSON_NUMBER_BYTES + len(result.outputs) * ENTRY_BYTES
    unstreamed = options.attention is None and size <= CHUNK_BYTES
    data = list(entries()) if unstreamed else StreamedList(entries())
    response = {"object": "list", "model": result.encoder.name, "data": data, "usage": usage}
    return responses.json_response(response) if unstreamed else await responses.streaming_json(response)


def _vector(options: EmbeddingOptions, item: InputResult) -> dict[str, Any]:
    """Return the embedding of an input, or its sparse vector."""
    if options.sparse:
        return {"sparse": sparse_object(options.sparse, item)}
    return {"embedding": to_base64(item.output, "<f4") if options.base64 else item.output}


def model_object(encoder: AnyEncoder) -> dict[str, Any]:
    """One entry of `/v1/models`."""
    manifest = encoder.manifest
    image, attention = manifest.image, manifest.attention
    return {
        "id": manifest.name,
        "object": "model",
        "created": 0,
        "owned_by": "headlight",
        "modality": manifest.modality,
        "architecture": manifest.architecture,
        "tasks": manifest.tasks,
        "labels": manifest.head.labels if manifest.head else None,
        "dimensions": manifest.embedding.dim if "embed" in manifest.tasks else None,
        "space": manifest.embedding.space if "embed" in manifest.tasks else None,
        "max_tokens": manifest.text.max_tokens if manifest.text else None,
        "image": {"rows_px": image.height_px, "columns_px": image.width_px} if image else None,
        "grid": grid_info(image) if image else None,
        "pooling": manifest.embedding.pooling,
        "precision": manifest.precision,
        "attention": {"layers": attention.num_layers, "heads": _heads(attention.heads)} if attention else None,
        "provider": encoder.provider,
    }


def _heads(heads: tuple[int, ...]) -> int | tuple[int, ...]:
    return heads[0] if len(set(heads)) == 1 else heads


EXAMPLES = {
    "one text": {"model": "all-MiniLM-L6-v2", "input": "A lighthouse keeper reads by the lamp."},
    "attention": {"model": "all-MiniLM-L6-v2", "input": ["A lighthouse keeper reads."], "attention": True},
    "token ids": {"model": "all-MiniLM-L6-v2", "input": [[101, 1037, 10437, 102]], "encoding_format": "base64"},
    "raw attention": {"model": "all-MiniLM-L6-v2", "input": "A lamp.", "attention": {"reduce": "raw", "layers": [5]}},
    "an image and a text": {
        "model": "scenes-vit",
        "input": [{"image": PIXEL}, {"text": "A red star."}],
    },
}

QUERY = (
    ("model", "string", "With an image as the body: the model."),
    ("attention", "string", "With an image as the body: true, false, or a reduction."),
    ("dimensions", "integer", "With an image as the body: keep the first dimensions only."),
    ("encoding_format", "string", "With an image as the body: float or base64."),
)


def _check_raw_options(options: EmbeddingOptions) -> None:
    """Raise InvalidParameter for options that only JSON has a place for."""
    for name in ("attention", "sparse", "encoding_format", "embedding_type"):
        if getattr(options, name) is not None:
            raise InvalidParameter(f"{name} requires Accept: {body.JSON}", name)


async def embeddings(request: HttpRequest) -> Response:
    """Texts, token ids and images, alone or mixed; an image can also be the body itself.

    A client that accepts `application/octet-stream` rather than JSON gets the vectors alone.
    """
    options: EmbeddingOptions
    if is_image(request):
        options = EmbeddingOptions.from_query(request.query_params)
        inference_request = options.to_inference_request([Image(await body.read_body(request))])
    else:
        options = payload = await EmbeddingsRequest.read(request)
        inference_request = payload.to_inference_request(payload.inputs())
    if accepts_raw(request):
        _check_raw_options(options)
        return raw_response(await infer_http(request, inference_request))
    return await embeddings_response(options, await infer_http(request, inference_request))


async def models(request: HttpRequest) -> Response:
    """List the served models and their properties."""
    state = request.app_state
    return responses.json_response({"object": "list", "data": list(map(model_object, state.models))})


_QUERY = [
    {"name": name, "in": "query", "schema": {"type": type}, "description": description}
    for name, type, description in QUERY
]


async def model(request: HttpRequest) -> Response:
    """One of them."""
    state = request.app_state
    return responses.json_response(model_object(state.models.get(request.path_params["model"])))


def _embeddings(path: str) -> Endpoint:
    return Endpoint(
        "POST", path, embeddings, "Embed texts or images, with their attention on request", EmbeddingsRequest,
        EmbeddingsResponse, EXAMPLES, query_parameters=_QUERY, binary_media_types=IMAGE_TYPES,
        binary_response_types=(RAW,),
    )  # fmt: skip


DIALECT = Dialect(
    "OpenAI",
    (
        _embeddings("/v1/embeddings"),
        Endpoint("GET", "/v1/models", models, "Served models", response_model=ModelsResponse),
        Endpoint("GET", "/v1/models/{model}", model, "Served model", response_model=ModelObject),
        _embeddings("/embeddings"),
    ),
    ErrorResponse,
)
