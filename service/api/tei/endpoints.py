"""text-embeddings-inference: `/embed`, `/similarity`, `/tokenize`, `/decode`, `/info`, `/health`."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus

import numpy as np
from starlette.responses import Response

from models.artifact.manifest import Manifest
from models.preprocess.errors import TokenIdError
from models.preprocess.model_input import TokenOffset
from service import VERSION, errors, limits
from service.api.common.inputs import Vectors
from service.api.tei.request import (
    Decoded,
    DecodeRequest,
    EmbedAllRequest,
    Info,
    Similarities,
    SimilarityRequest,
    SparseVectors,
    TeiEmbedRequest,
    TeiError,
    TokenizeRequest,
    TokenLists,
    TokenVectors,
)
from service.engine.items import Timing
from service.http import body, error_responses, responses, validation
from service.http.endpoints import Dialect, Endpoint
from service.http.request import CancelOnDisconnect, HttpRequest, infer_http
from service.http.responses import JsonArray, StreamedList
from service.http.validation import max_inputs
from service.pipeline.infer import check_prompt, text_encoder
from service.pipeline.types import InferenceRequest, InferenceResult
from service.runtime.encoder import AnyEncoder
from service.runtime.providers import CPU

_TYPES: dict[type[errors.HeadlightError], tuple[str, HTTPStatus | None]] = {
    errors.EmptyInput: ("Empty", HTTPStatus.BAD_REQUEST),
    errors.TaskNotSupported: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.InvalidTokens: ("Tokenizer", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.BadRequestError: ("Validation", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.Overloaded: ("Overloaded", None),
    errors.Unavailable: ("Unhealthy", None),
    errors.InferenceFailed: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.InternalError: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.HeadlightError: ("Validation", None),
}
"""Error types of text-embeddings-inference, and its status where it differs."""

MAX_CONCURRENT_REQUESTS = 512
"""Default of text-embeddings-inference, by which clients size their pools. The queue here is bounded in tokens."""


def error_response(error: errors.HeadlightError) -> Response:
    """`{"error": "...", "error_type": "..."}`, in that server's statuses."""
    kind, status = next(_TYPES[base] for base in type(error).__mro__ if base in _TYPES)
    return error_responses.error_response(
        error, responses.dump({"error": error_responses.message_with_param(error), "error_type": kind}), status
    )


async def tokenize(request: HttpRequest) -> Response:
    """All tokens of texts, uncut."""
    payload = await TokenizeRequest.read(request)
    if sum(map(len, payload.inputs)) > limits.MAX_TOKENIZED_CHARACTERS:
        raise errors.InvalidInput(
            f"the texts exceed the limit of {limits.MAX_TOKENIZED_CHARACTERS} characters", "inputs"
        )
    state = request.app_state
    encoder = text_encoder(state, payload.model)
    check_prompt(encoder, payload.prompt_name)

    def run() -> bytes:
        tokens = partial(encoder.tokenize, prompt=payload.prompt_name, special=payload.add_special_tokens)
        return b"[" + b",".join(responses.dump(_token_entries(text, tokens(text))) for text in payload.inputs) + b"]"

    async with CancelOnDisconnect(request):
        response_json = await asyncio.get_running_loop().run_in_executor(state.tokenizer_pool, run)
    return Response(response_json, media_type=body.JSON)


async def decode(request: HttpRequest) -> Response:
    """Texts of token ids."""
    payload = await DecodeRequest.read(request)
    state = request.app_state
    encoder = text_encoder(state, payload.model)

    def run() -> list[str]:
        return [encoder.decode(ids, skip_special=payload.skip_special_tokens) for ids in payload.ids]

    try:
        async with CancelOnDisconnect(request):
            return responses.json_response(await asyncio.get_running_loop().run_in_executor(state.tokenizer_pool, run))
    except TokenIdError as error:
        raise errors.InvalidTokens(str(error), "ids") from None


def _token_entries(text: str, tokens: Sequence[tuple[int, TokenOffset]]) -> list[dict[str, object]]:
    """Describe the tokens with offsets in UTF-8 bytes; special tokens have none."""
    characters = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    ends = np.cumsum(1 + (characters > 0x7F) + (characters > 0x7FF) + (characters > 0xFFFF))
    starts = [0, *ends.tolist()]
    entries: list[dict[str, object]] = []
    for id, (token, start, stop) in tokens:
        if start == stop:
            entries.append({"id": id, "text": token, "special": True, "start": None, "stop": None})
        else:
            text_fields = {"text": text[start:stop], "start": starts[start], "stop": starts[stop]}
            entries.append({"id": id, "special": False, **text_fields})
    return entries


async def embedding(request: HttpRequest) -> Response:
    """Vectors of texts."""
    return await _embedding(request, await TeiEmbedRequest.read(request))


async def embedding_all(request: HttpRequest) -> Response:
    """Vectors of all tokens of texts, as they are pooled."""
    inference_request = replace(
        (await EmbedAllRequest.read(request)).to_inference_request(), return_token_embeddings=True
    )
    result = await infer_http(request, inference_request)

    def texts() -> Iterator[JsonArray]:
        for item in result.outputs:
            assert item.token_embeddings is not None
            yield JsonArray(item.token_embeddings)

    return _with_timing_headers(inference_request, result, await responses.streaming_json(StreamedList(texts())))


async def sparse_embedding(request: HttpRequest) -> Response:
    """Return sparse vectors of texts."""
    inference_request = replace((await EmbedAllRequest.read(request)).to_inference_request(), task="sparse")
    result = await infer_http(request, inference_request)
    vectors = (
        [{"index": index, "value": value} for index, value in zip(vector.indices, vector.values, strict=True)]
        for vector in (item.sparse_vector for item in result.outputs)
    )
    return _with_timing_headers(inference_request, result, await responses.streaming_json(StreamedList(vectors)))


async def similarity(request: HttpRequest) -> Response:
    """Return cosines of one text with others."""
    return await _similarity(request, await SimilarityRequest.read(request))


async def embedding_or_similarity(request: HttpRequest) -> Response:
    """`POST /` is that server's one task; here the request says which."""
    fields = await validation.read_json(request)
    if isinstance(fields, dict) and isinstance(fields.get("inputs"), dict):
        return await _similarity(request, SimilarityRequest.parse(fields, max_inputs(request)))
    return await _embedding(request, TeiEmbedRequest.parse(fields, max_inputs(request)))


async def info(request: HttpRequest) -> Response:
    """Describe the default model."""
    state = request.app_state
    settings = state.settings
    encoder = text_encoder(state, request.query_params.get("model"))
    manifest = encoder.manifest
    return responses.json_response(
        {
            "model_id": manifest.name,
            "model_sha": manifest.files["weights.bin"].sha256,
            "model_dtype": {"fp32": "float32", "fp16": "float16"}.get(manifest.precision, manifest.precision),
            "served_model_name": manifest.name,
            "model_type": _model_type(manifest),
            "max_concurrent_requests": MAX_CONCURRENT_REQUESTS,
            "max_input_length": encoder.max_positions,
            "max_batch_tokens": settings.max_batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": settings.max_client_batch_size,
            "auto_truncate": True,
            "tokenization_workers": settings.intra_op_threads(),
            "version": VERSION,
            "sha": None,
            "docker_label": None,
        }
    )


def _model_type(manifest: Manifest) -> dict[str, object]:
    """Return that server's words for what a model answers with."""
    if "sparse" in manifest.tasks:
        return {"embedding": {"pooling": "splade"}}
    if manifest.head is None:
        return {"embedding": {"pooling": manifest.embedding.pooling}}
    labels = dict(enumerate(manifest.head.labels))
    tables = {
        "id2label": {str(i): label for i, label in labels.items()},
        "label2id": {label: i for i, label in labels.items()},
    }
    return {"reranker" if "rerank" in manifest.tasks else "classifier": tables}


async def health(request: HttpRequest) -> Response:
    """200 when ready, with nothing in it."""
    state = request.app_state
    state.check_ready()
    return Response()


async def _embedding(request: HttpRequest, payload: TeiEmbedRequest) -> Response:
    inference_request = payload.to_inference_request()
    result = await infer_http(request, inference_request)
    return _with_timing_headers(inference_request, result, await responses.streaming_json(JsonArray(result.embeddings)))


async def _similarity(request: HttpRequest, payload: SimilarityRequest) -> Response:
    if not payload.inputs.sentences:
        raise errors.EmptyInput("inputs.sentences must not be empty", "inputs.sentences")
    inference_request = payload.to_inference_request()
    result = await infer_http(request, inference_request)
    source, others = result.embeddings[0], result.embeddings[1:]
    return _with_timing_headers(inference_request, result, responses.json_response(others @ source))


def _with_timing_headers(inference_request: InferenceRequest, result: InferenceResult, response: Response) -> Response:
    characters = sum(len(text) for text in inference_request.inputs if isinstance(text, str))
    return with_timing_headers(response, characters, result.num_tokens, result.timing, result.encoder)


def with_timing_headers(
    response: Response, characters: int, num_tokens: int, timing: Timing, encoder: AnyEncoder
) -> Response:
    """Add that server's timing headers, in ms."""
    stages_ms = timing.stages_ms()
    response.headers.update(
        {
            "x-compute-type": "cpu" if encoder.provider == CPU else "gpu",
            "x-compute-characters": str(characters),
            "x-compute-tokens": str(num_tokens),
            "x-total-time": f"{sum(stages_ms.values()):.2f}",
            "x-tokenization-time": f"{stages_ms['preprocess']:.2f}",
            "x-queue-time": f"{stages_ms['queue']:.2f}",
            "x-inference-time": f"{stages_ms['inference']:.2f}",
        }
    )
    return response


_TEXT = {"inputs": "A lighthouse keeper reads."}
_EMBED = {
    "one text": _TEXT,
    "several, one as token ids": {"inputs": ["A lamp.", [101, 10437, 102]], "normalize": False, "dimensions": 64},
    "cut from the left": {"inputs": "A lamp.", "truncate": True, "truncation_direction": "left"},
}
_SIMILARITY = {
    "two sentences": {"inputs": {"source_sentence": "A lamp.", "sentences": ["A light.", "The sea."]}},
}

DIALECT = Dialect(
    "text-embeddings-inference",
    (
        Endpoint("POST", "/embed", embedding, "Embed texts", TeiEmbedRequest, Vectors, _EMBED),
        Endpoint(
            "POST", "/", embedding_or_similarity, "Embed texts, or compare them", TeiEmbedRequest, Vectors,
            {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/similarity", similarity, "Compare a text with others", SimilarityRequest, Similarities,
            _SIMILARITY,
        ),
        Endpoint(
            "POST", "/embed_all", embedding_all, "Embed each token of texts", EmbedAllRequest, TokenVectors,
            {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/embed_sparse", sparse_embedding, "Sparse vectors of texts", EmbedAllRequest, SparseVectors,
            {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/tokenize", tokenize, "Tokenize texts", TokenizeRequest, TokenLists, {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/decode", decode, "Decode token ids", DecodeRequest, Decoded, {"one text": {"ids": [10437]}},
        ),
        Endpoint("GET", "/info", info, "Default model information", response_model=Info),
        Endpoint("GET", "/health", health, "Readiness", response_content={}, public=True, is_probe=True),
    ),
    TeiError,
    error_response,
)  # fmt: skip
