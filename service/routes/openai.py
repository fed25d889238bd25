"""The OpenAI dialect: `POST /v1/embeddings` and `GET /v1/models`, extended with attention."""

import asyncio
import base64
import time
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from models.contract.arrays import Floats
from models.preprocess.text import Tokens
from service.engine.attention import AttentionQuery
from service.engine.items import ItemResult
from service.errors import AttentionTooLarge, ContextLengthExceeded, InvalidParameter, TooManyInputs
from service.routes import withdrawal
from service.routes.body import read_json
from service.routes.schemas import AttentionRequest, EmbeddingsRequest
from service.runtime.encoder import Encoder
from service.settings import Settings
from service.state import State


async def embeddings(request: Request) -> Response:
    """Validate, tokenize on a thread, queue, and answer."""
    state: State = request.app.state.headlight
    settings = state.settings
    asked = EmbeddingsRequest.parse(await read_json(request, max_bytes=settings.max_body_bytes))
    encoder = state.model(asked.model)
    request.state.model = encoder.name
    query = None if asked.attention is None else asked.attention.to_query()
    _check_options(asked, query, encoder, settings)
    deadline = time.monotonic() + settings.request_timeout_ms / 1000
    with state.metrics.preprocess_seconds.labels(encoder.name).time():
        texts = await asyncio.to_thread(encoder.prepare, asked.input)
    _check_tokens(asked, query, texts, encoder, settings)
    ticket = state.engine.submit(encoder.name, [text.ids for text in texts], query, deadline=deadline)
    return _answer(asked, encoder, texts, await withdrawal.results(request, ticket))


async def models(request: Request) -> Response:
    """The served models and what they can do."""
    state: State = request.app.state.headlight
    return _json({"object": "list", "data": [_model_object(encoder) for encoder in state.models.values()]})


def _check_options(
    asked: EmbeddingsRequest, query: AttentionQuery | None, encoder: Encoder, settings: Settings
) -> None:
    """What can be refused before tokenizing."""
    if len(asked.input) > settings.max_items:
        raise TooManyInputs(f"{len(asked.input)} inputs, at most {settings.max_items} are taken", "input")
    width = encoder.manifest.embedding.width
    if asked.dimensions is not None and asked.dimensions > width:
        raise InvalidParameter(f"dimensions are 1 to {width} in this model", "dimensions")
    if query is not None:
        query.check(encoder.manifest)


def _check_tokens(
    asked: EmbeddingsRequest,
    query: AttentionQuery | None,
    texts: list[Tokens],
    encoder: Encoder,
    settings: Settings,
) -> None:
    """What can be refused only when the lengths are known."""
    if not asked.truncate:
        for i, text in enumerate(texts):
            if text.truncated:
                limit = encoder.manifest.text.max_tokens
                raise ContextLengthExceeded(f"the text has more than {limit} tokens", f"input[{i}]")
    if query is None:
        return
    shortest = min(len(text.ids) for text in texts)
    if isinstance(query.query, int) and query.query >= shortest:
        raise InvalidParameter(f"query {query.query} is past a text of {shortest} tokens", "attention.query")
    size = sum(query.answer_bytes(len(text.ids), encoder.manifest) for text in texts)
    if size > settings.max_attention_bytes:
        raise AttentionTooLarge(
            f"the attention asked for is {size} bytes, at most {settings.max_attention_bytes} are given; "
            "reduce=rollout is one weight per token",
            "attention",
        )


def _answer(asked: EmbeddingsRequest, encoder: Encoder, texts: list[Tokens], results: list[ItemResult]) -> Response:
    vectors = encoder.finish(np.stack([result.embedding for result in results]), asked.dimensions)
    data = []
    for i, (text, result) in enumerate(zip(texts, results, strict=True)):
        entry = {"object": "embedding", "index": i, "embedding": vectors[i], "truncated": text.truncated}
        if asked.encoding_format == "base64":
            entry["embedding"] = _base64(vectors[i], "<f4")
        if asked.attention is not None and result.attention is not None:
            entry["attention"] = _attention(asked.attention, result.attention, text)
        data.append(entry)
    tokens = sum(len(text.ids) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _json({"object": "list", "model": encoder.name, "data": data, "usage": usage})


def _attention(asked: AttentionRequest, values: Floats, text: Tokens) -> dict[str, Any]:
    return {
        "reduce": asked.reduce,
        "query": asked.to_query().query,
        "shape": values.shape,
        "values": _base64(values, "<f2") if asked.encoding == "base64" else values,
        "tokens": [
            {"text": piece, "start": start, "end": end}
            for piece, (start, end) in zip(text.pieces, text.offsets, strict=True)
        ],
        "grid": None,
    }


def _model_object(encoder: Encoder) -> dict[str, Any]:
    manifest = encoder.manifest
    return {
        "id": manifest.name,
        "object": "model",
        "created": 0,
        "owned_by": "headlight",
        "modality": manifest.modality,
        "architecture": manifest.architecture,
        "dimensions": manifest.embedding.width,
        "max_tokens": manifest.text.max_tokens,
        "pooling": manifest.embedding.pooling,
        "precision": manifest.precision,
        "attention": {"layers": manifest.attention.layers, "heads": manifest.attention.heads},
        "provider": encoder.providers,
    }


def _base64(values: Floats, dtype: str) -> str:
    """Little-endian bytes of `dtype`, in base64."""
    return base64.b64encode(values.astype(dtype).tobytes()).decode("ascii")


def _json(content: object) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
