"""`/rerank` of Jina, vLLM, Cohere, infinity, text-embeddings-inference and Weaviate, and vLLM's `/score`."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from service.api import weaviate
from service.api.common.attention import requested_attention
from service.api.rerank.request import (
    RerankError,
    RerankOrScoresResponse,
    RerankRequest,
    RerankResponse,
    ScoresRequest,
    ScoresResponse,
    TeiRerankRequest,
    WeaviateRerankRequest,
)
from service.api.tei import endpoints as tei
from service.http import responses, validation
from service.http.endpoints import Dialect, Endpoint
from service.http.request import HttpRequest, score_http
from service.http.responses import StreamedList
from service.http.validation import max_inputs
from service.pipeline.score import ScoreResult


async def rerank(request: HttpRequest) -> Response:
    """Rank documents for a query, in the dialect that the body speaks."""
    fields = await validation.read_json(request)
    if isinstance(fields, dict) and "texts" in fields:
        request.error_response = tei.error_response
        return await _tei_rerank(request, TeiRerankRequest.parse(fields, max_inputs(request)))
    if isinstance(fields, dict) and "property" in fields:
        request.error_response = weaviate.error_response
        return await _weaviate_rerank(request, WeaviateRerankRequest.parse(fields, max_inputs(request)))
    return await _rerank(request, RerankRequest.parse(fields, max_inputs(request)))


async def rerank_v1(request: HttpRequest) -> Response:
    """Rank documents for a query."""
    return await _rerank(request, await RerankRequest.read(request))


async def score(request: HttpRequest) -> Response:
    """Score documents for queries, in their order."""
    payload = await ScoresRequest.read(request)
    result = await score_http(request, payload.to_score_request())
    scores = result.scores("logit" if payload.use_activation is False else "model")
    data = (
        {
            "index": i,
            "object": "score",
            "score": value,
            "truncated": cut,
            **requested_attention(payload.attention, result.outputs[i]),
        }
        for i, (value, cut) in enumerate(zip(scores, result.truncated, strict=True))
    )
    return await responses.streaming_json({**_envelope("score", "list", result), "data": StreamedList(data)})


async def _rerank(request: HttpRequest, payload: RerankRequest) -> Response:
    result = await score_http(request, payload.to_score_request())
    scores, cut = result.scores("logit" if payload.raw_scores else "probability"), result.truncated
    is_infinity = payload.raw_scores is not None
    repeated = not is_infinity if payload.return_documents is None else payload.return_documents

    def entries() -> Iterator[Mapping[str, Any]]:
        for i in result.order(payload.top_n or None):
            text = payload.documents[i]
            document = {"document": text if is_infinity else {"text": text}} if repeated else {}
            yield {
                "index": i, "relevance_score": scores[i], **document, "truncated": cut[i],
                **requested_attention(payload.attention, result.outputs[i]),
            }  # fmt: skip

    return await responses.streaming_json({**_envelope("rerank", "rerank", result), "results": StreamedList(entries())})


async def _tei_rerank(request: HttpRequest, payload: TeiRerankRequest) -> Response:
    score_request = payload.to_score_request()
    result = await score_http(request, score_request)
    scores = result.scores("logit" if payload.raw_scores else "probability")
    ranks = (
        {
            "index": i,
            **({"text": payload.texts[i]} if payload.return_text else {}),
            "score": scores[i],
            **requested_attention(payload.attention, result.outputs[i]),
        }
        for i in result.order()
    )
    characters = len(payload.query) + sum(map(len, payload.texts))
    response = await responses.streaming_json(StreamedList(ranks))
    response.headers["x-scoring"] = result.scoring
    return tei.with_timing_headers(response, characters, result.num_tokens, result.timing, result.encoder)


async def _weaviate_rerank(request: HttpRequest, payload: WeaviateRerankRequest) -> Response:
    result = await score_http(request, payload.to_score_request())
    scores = [
        {"document": document, "score": score}
        for document, score in zip(payload.documents, result.scores("probability").tolist(), strict=True)
    ]
    return await responses.streaming_json({"query": payload.query, "scores": scores, "property": payload.property})


def _envelope(prefix: str, kind: str, result: ScoreResult) -> dict[str, Any]:
    """Return what vLLM's and infinity's answers have around their results."""
    return {
        "id": f"{prefix}-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": result.encoder.name,
        "scoring": result.scoring,
        "usage": {"prompt_tokens": result.num_tokens, "total_tokens": result.num_tokens},
    }


_DOCUMENTS = ["The lamp of the lighthouse warns ships.", "Bread rises in the oven."]
_EXAMPLES = {
    "two documents": {"query": "What warns ships?", "documents": _DOCUMENTS},
    "text-embeddings-inference": {"query": "What warns ships?", "texts": _DOCUMENTS, "raw_scores": True},
    "Weaviate": {"query": "What warns ships?", "documents": _DOCUMENTS, "property": ""},
}
_JINA_EXAMPLES = {
    "the best one": {"model": "all-MiniLM-L6-v2", "query": "What warns ships?", "documents": _DOCUMENTS, "top_n": 1},
}

DIALECT = Dialect(
    "Rerank",
    (
            Endpoint("POST", "/rerank", rerank, "Rank documents: Jina, vLLM, infinity, text-embeddings-inference, "
                     "Weaviate", RerankRequest, RerankOrScoresResponse, _EXAMPLES,
                     alternative_request_models=(TeiRerankRequest, WeaviateRerankRequest)),
            Endpoint("POST", "/v1/rerank", rerank_v1, "Rank documents", RerankRequest, RerankResponse, _JINA_EXAMPLES),
            Endpoint("POST", "/score", score, "Score pairs of texts", ScoresRequest, ScoresResponse,
                     {"one query": {"queries": "What warns ships?", "documents": _DOCUMENTS}}),
            Endpoint("POST", "/v1/score", score, "Score pairs of texts", ScoresRequest, ScoresResponse,
                     {"pairs": {"text_1": _DOCUMENTS, "text_2": _DOCUMENTS}}),
    ),
    RerankError,
)  # fmt: skip
