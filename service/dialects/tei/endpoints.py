"""text-embeddings-inference: `/embed`, `/similarity`, `/tokenize`, `/decode`, `/info`, `/health`."""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from models.preprocess.errors import NotInVocabulary
from models.preprocess.tokens import Piece
from service import errors
from service.dialects.tei.request import (
    Decoded,
    DecodeRequest,
    Info,
    Similarities,
    SimilarityRequest,
    TeiEmbedRequest,
    TeiError,
    TokenizeRequest,
    TokenLists,
    Vectors,
)
from service.http import pieces, problems, validation
from service.http.asked import Asked, Embedded
from service.http.embedding import check_prompt, embed
from service.http.endpoints import Dialect, Endpoint
from service.http.validation import max_items
from service.runtime.encoder import TextEncoder
from service.runtime.providers import CPU
from service.state import State

MOST_CHARACTERS = 1_000_000
"""Of the texts of one request to be tokenized whole: 2 s of a thread."""

_TYPES: dict[type[errors.HeadlightError], tuple[str, HTTPStatus | None]] = {
    errors.EmptyInput: ("Empty", HTTPStatus.BAD_REQUEST),
    errors.InvalidTokens: ("Tokenizer", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.RequestError: ("Validation", HTTPStatus.UNPROCESSABLE_ENTITY),
    errors.Overloaded: ("Overloaded", None),
    errors.Unavailable: ("Unhealthy", None),
    errors.InferenceFailed: ("Backend", HTTPStatus.FAILED_DEPENDENCY),
    errors.HeadlightError: ("Validation", None),
}
"""What that server calls it, and its status where it is not the one that everyone uses."""


async def embedding(request: Request) -> Response:
    """Vectors of texts."""
    return await _embedding(request, await TeiEmbedRequest.read(request))


async def similarity(request: Request) -> Response:
    """Cosines of one text with others."""
    return await _similarity(request, await SimilarityRequest.read(request))


async def embedding_or_similarity(request: Request) -> Response:
    """`POST /` is that server's one task; here the request says which."""
    fields = await validation.fields(request)
    if isinstance(fields, dict) and isinstance(fields.get("inputs"), dict):
        return await _similarity(request, SimilarityRequest.parse(fields, max_items(request)))
    return await _embedding(request, TeiEmbedRequest.parse(fields, max_items(request)))


async def tokenize(request: Request) -> Response:
    """All tokens of texts, uncut."""
    asked = await TokenizeRequest.read(request)
    if sum(map(len, asked.inputs)) > MOST_CHARACTERS:
        raise errors.InvalidInput(f"the texts have more than {MOST_CHARACTERS} characters", "inputs")
    state: State = request.app.state.headlight
    encoder = _text_encoder(state, asked.model)
    check_prompt(encoder, asked.prompt_name)

    def run() -> list[list[dict[str, object]]]:
        tokens = partial(encoder.tokenize, prompt=asked.prompt_name, special=asked.add_special_tokens)
        return [_tokens(text, tokens(text)) for text in asked.inputs]

    return pieces.json(await asyncio.get_running_loop().run_in_executor(state.tokenizing, run))


async def decode(request: Request) -> Response:
    """Texts of token ids."""
    asked = await DecodeRequest.read(request)
    state: State = request.app.state.headlight
    encoder = _text_encoder(state, asked.model)

    def run() -> list[str]:
        return [encoder.decode(ids, skip_special=asked.skip_special_tokens) for ids in asked.ids]

    try:
        return pieces.json(await asyncio.get_running_loop().run_in_executor(state.tokenizing, run))
    except NotInVocabulary as error:
        raise errors.InvalidTokens(str(error), "ids") from None


async def info(request: Request) -> Response:
    """The model that is meant where none is named."""
    state: State = request.app.state.headlight
    settings = state.settings
    encoder = _text_encoder(state, request.query_params.get("model"))
    manifest = encoder.manifest
    return pieces.json(
        {
            "model_id": manifest.name,
            "model_sha": manifest.files["weights.bin"].sha256,
            "model_dtype": {"fp32": "float32", "fp16": "float16"}.get(manifest.precision, manifest.precision),
            "served_model_name": manifest.name,
            "model_type": {"embedding": {"pooling": manifest.embedding.pooling}},
            "max_concurrent_requests": settings.max_queue_tokens,
            "max_input_length": encoder.max_positions,
            "max_batch_tokens": settings.max_batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": settings.max_items,
            "auto_truncate": True,
            "tokenization_workers": settings.intra_op_threads(),
            "version": version("headlight"),
            "sha": None,
            "docker_label": None,
        }
    )


async def health(request: Request) -> Response:
    """200 when ready, with nothing in it."""
    state: State = request.app.state.headlight
    state.check_ready()
    return Response()


def problem(error: errors.HeadlightError) -> Response:
    """`{"error": "...", "error_type": "..."}`, in that server's statuses."""
    kind, status = next(_TYPES[base] for base in type(error).__mro__ if base in _TYPES)
    return problems.respond(error, {"error": problems.told(error), "error_type": kind}, status)


async def _embedding(request: Request, found: TeiEmbedRequest) -> Response:
    asked = found.asked()
    embedded = await embed(request, asked)
    vectors = np.stack([item.vector for item in embedded.items])
    return _timed(request, asked, embedded, pieces.json(await pieces.written(vectors)))


async def _similarity(request: Request, found: SimilarityRequest) -> Response:
    if not found.inputs.sentences:
        raise errors.EmptyInput("inputs.sentences must not be empty", "inputs.sentences")
    asked = found.asked()
    embedded = await embed(request, asked)
    source, *others = (item.vector for item in embedded.items)
    return _timed(request, asked, embedded, pieces.json(np.stack(others) @ source))


def _text_encoder(state: State, name: str | None) -> TextEncoder:
    encoder = state.first("text") if name is None else state.model(name)
    if not isinstance(encoder, TextEncoder):
        raise errors.InvalidInput("this model takes images, not texts", "model")
    return encoder


def _tokens(text: str, found: Sequence[tuple[int, Piece]]) -> list[dict[str, object]]:
    """Where tokens stand in the text is told in bytes of UTF-8; those that are not of it stand nowhere."""
    characters = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    ends = np.cumsum(1 + (characters > 0x7F) + (characters > 0x7FF) + (characters > 0xFFFF))
    starts = [0, *ends.tolist()]
    told: list[dict[str, object]] = []
    for id, (token, start, stop) in found:
        if start == stop:
            told.append({"id": id, "text": token, "special": True, "start": None, "stop": None})
        else:
            own = {"text": text[start:stop], "start": starts[start], "stop": starts[stop]}
            told.append({"id": id, "special": False, **own})
    return told


def _timed(request: Request, asked: Asked, embedded: Embedded, response: Response) -> Response:
    """That server's headers; durations are in ms."""
    took = request.state.timing.stages_ms()
    characters = sum(len(text) for text in asked.inputs if isinstance(text, str))
    response.headers.update(
        {
            "x-compute-type": "cpu" if embedded.encoder.provider == CPU else "gpu",
            "x-compute-characters": str(characters),
            "x-compute-tokens": str(embedded.positions),
            "x-total-time": f"{sum(took.values()):.2f}",
            "x-tokenization-time": f"{took['preprocess']:.2f}",
            "x-queue-time": f"{took['queue']:.2f}",
            "x-inference-time": f"{took['inference']:.2f}",
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
        Endpoint("POST", "/tokenize", tokenize, "Tokens of texts", TokenizeRequest, TokenLists, {"one text": _TEXT}),
        Endpoint(
            "POST", "/decode", decode, "Texts of token ids", DecodeRequest, Decoded, {"one text": {"ids": [10437]}}
        ),
        Endpoint("GET", "/info", info, "The model that is meant where none is named", answer=Info),
        Endpoint("GET", "/health", health, "Is it ready?", content={}, keyless=True),
    ),
    TeiError,
    problem,
)  # fmt: skip
