"""text-embeddings-inference: `/embed`, `/similarity`, `/tokenize`, `/decode`, `/info`, `/health`."""

from collections.abc import Iterator
from dataclasses import replace

from starlette.responses import Response

from service import VERSION, errors
from service.dialects.inputs import Vectors
from service.dialects.tei.problem import problem
from service.dialects.tei.request import (
    Decoded,
    DecodeRequest,
    EmbedAllRequest,
    Info,
    Similarities,
    SimilarityRequest,
    TeiEmbedRequest,
    TeiError,
    TokenizeRequest,
    TokenLists,
    TokenVectors,
)
from service.dialects.tei.tokens import decode, tokenize
from service.http import responses, validation
from service.http.asked import Asked, Embedded
from service.http.embedding import embed, text_encoder
from service.http.endpoints import Dialect, Endpoint
from service.http.exchange import Exchange
from service.http.pieces import Listed, Numbers
from service.http.validation import max_items
from service.runtime.providers import CPU


async def embedding(request: Exchange) -> Response:
    """Vectors of texts."""
    return await _embedding(request, await TeiEmbedRequest.read(request))


async def embedding_all(request: Exchange) -> Response:
    """Vectors of all tokens of texts, as they are pooled."""
    asked = replace((await EmbedAllRequest.read(request)).asked(), vectors=True)
    embedded = await embed(request, asked)

    def texts() -> Iterator[Numbers]:
        for item in embedded.items:
            assert item.vectors is not None
            yield Numbers(item.vectors)

    return _timed(asked, embedded, await responses.in_pieces(Listed(texts())))


async def similarity(request: Exchange) -> Response:
    """Cosines of one text with others."""
    return await _similarity(request, await SimilarityRequest.read(request))


async def embedding_or_similarity(request: Exchange) -> Response:
    """`POST /` is that server's one task; here the request says which."""
    fields = await validation.fields(request)
    if isinstance(fields, dict) and isinstance(fields.get("inputs"), dict):
        return await _similarity(request, SimilarityRequest.parse(fields, max_items(request)))
    return await _embedding(request, TeiEmbedRequest.parse(fields, max_items(request)))


async def info(request: Exchange) -> Response:
    """The model that is meant where none is named."""
    state = request.headlight
    settings = state.settings
    encoder = text_encoder(state, request.query_params.get("model"))
    manifest = encoder.manifest
    return responses.json(
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
            "version": VERSION,
            "sha": None,
            "docker_label": None,
        }
    )


async def health(request: Exchange) -> Response:
    """200 when ready, with nothing in it."""
    state = request.headlight
    state.check_ready()
    return Response()


async def _embedding(request: Exchange, found: TeiEmbedRequest) -> Response:
    asked = found.asked()
    embedded = await embed(request, asked)
    return _timed(asked, embedded, await responses.in_pieces(Numbers(embedded.vectors)))


async def _similarity(request: Exchange, found: SimilarityRequest) -> Response:
    if not found.inputs.sentences:
        raise errors.EmptyInput("inputs.sentences must not be empty", "inputs.sentences")
    asked = found.asked()
    embedded = await embed(request, asked)
    source, others = embedded.vectors[0], embedded.vectors[1:]
    return _timed(asked, embedded, responses.json(others @ source))


def _timed(asked: Asked, embedded: Embedded, response: Response) -> Response:
    """That server's headers; durations are in ms."""
    took = embedded.timing.stages_ms()
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
        Endpoint(
            "POST", "/embed_all", embedding_all, "Embed each token of texts", EmbedAllRequest, TokenVectors,
            {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/tokenize", tokenize, "Tokens of texts", TokenizeRequest, TokenLists, {"one text": _TEXT},
        ),
        Endpoint(
            "POST", "/decode", decode, "Texts of token ids", DecodeRequest, Decoded, {"one text": {"ids": [10437]}},
        ),
        Endpoint("GET", "/info", info, "The model that is meant where none is named", answer=Info),
        Endpoint("GET", "/health", health, "Is it ready?", content={}, keyless=True, probe=True),
    ),
    TeiError,
    problem,
)  # fmt: skip
