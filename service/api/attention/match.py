"""`POST /v1/attention/match`: the similarity of two inputs, and the part of each token or patch in it."""

import asyncio
from functools import partial
from typing import Any

from starlette.responses import Response

from service.api.attention.attribution import InputAttribution, SimilarityAttribution, attribute_similarity, num_parts
from service.api.attention.match_request import MatchRequest
from service.api.common import attention_response
from service.api.common.attention_schema import Units
from service.engine.plan import FLOAT_BYTES
from service.errors import AttentionTooLarge, InvalidParameter
from service.http import responses
from service.http.request import CancelOnDisconnect, HttpRequest
from service.http.responses import JsonArray
from service.pipeline.embed import embed_http
from service.pipeline.types import EmbedResult, TokenIds

MEANING = (
    "attribution, not cause: the direction of the parts' vectors and the attention they receive; the similarity "
    "need not change by the same amount when a part is removed"
)


async def match(request: HttpRequest) -> Response:
    """Compare two inputs: a text and a text, a text and an image, an image and an image."""
    payload = await MatchRequest.read(request)
    embed_request = payload.to_embed_request()
    words = payload.units == "words"
    if words and any(isinstance(value, TokenIds) for value in embed_request.inputs):
        raise InvalidParameter("units=words does not apply to token ids; send the text", "units")
    state = request.app_state
    result = await embed_http(request, embed_request)
    if payload.pairs:
        _check_size(result, state.settings.max_attention_bytes, words=words)
    work = partial(attribute_similarity, result.outputs, words=words, pairs=payload.pairs)
    async with CancelOnDisconnect(request):
        attribution = await asyncio.get_running_loop().run_in_executor(state.tokenizer_pool, work)
    return await responses.streaming_json(_response(attribution, result.encoder.name, payload))


def _check_size(result: EmbedResult, max_bytes: int, *, words: bool) -> None:
    a, b = (num_parts(item, words=words) for item in result.outputs)
    size = FLOAT_BYTES * a * b
    if size > max_bytes:
        raise AttentionTooLarge(f"{a} x {b} pairs take {size} bytes, the limit is {max_bytes}; omit pairs", "pairs")


def _response(attribution: SimilarityAttribution, model: str, payload: MatchRequest) -> dict[str, Any]:
    pairs = {} if attribution.pairs is None else {"pairs": JsonArray(attribution.pairs)}
    return {
        "object": "attention.match",
        "model": model,
        "similarity": attribution.similarity,
        "meaning": MEANING,
        "inputs": [_input_object(i, side, payload.units) for i, side in enumerate(attribution.inputs)],
        **pairs,
    }


def _input_object(index: int, attribution: InputAttribution, units: Units) -> dict[str, Any]:
    manifest = attribution.output.encoder.manifest
    return {
        "index": index,
        "model": manifest.name,
        "modality": manifest.modality,
        "truncated": attribution.output.prepared.truncated,
        "similarities": attribution.similarities,
        "contributions": attribution.contributions,
        "relevance": attribution.relevance,
        **attention_response.alignment(attribution.output, units),
    }
