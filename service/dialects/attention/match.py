"""`POST /v1/attention/match`: two inputs, their similarity, and what of it is owed to which part."""

import asyncio
from functools import partial
from typing import Any

from starlette.responses import Response

from service.dialects import aligned
from service.dialects.attending import Units
from service.dialects.attention.comparing import Match, Side, compare, units_of
from service.dialects.attention.match_request import MatchRequest
from service.engine.plan import FLOAT_BYTES
from service.errors import AttentionTooLarge, InvalidParameter
from service.http import responses
from service.http.asked import Embedded, TokenIds
from service.http.embedding import embed
from service.http.exchange import Exchange
from service.http.pieces import Numbers
from service.http.withdrawal import Watch

MEANING = (
    "attribution, not cause: where the parts' vectors point, and how much attention they are given; the similarity "
    "need not change by as much when one is taken away"
)


async def match(request: Exchange) -> Response:
    """Compare two inputs: a text and a text, a text and an image, an image and an image."""
    asked = await MatchRequest.read(request)
    two = asked.asked()
    words = asked.units == "words"
    if words and any(isinstance(value, TokenIds) for value in two.inputs):
        raise InvalidParameter("token ids come without their words; send the text", "units")
    state = request.headlight
    embedded = await embed(request, two)
    if asked.pairs:
        _check_size(embedded, state.settings.max_attention_bytes, words=words)
    work = partial(compare, embedded.items, words=words, pairs=asked.pairs)
    async with Watch(request):
        found = await asyncio.get_running_loop().run_in_executor(state.tokenizing, work)
    return await responses.in_pieces(_answer(found, embedded.encoder.name, asked))


def _check_size(embedded: Embedded, most: int, *, words: bool) -> None:
    a, b = (units_of(item, words=words) for item in embedded.items)
    size = FLOAT_BYTES * a * b
    if size > most:
        raise AttentionTooLarge(f"{a} x {b} pairs: {size} bytes, at most {most} are given; leave pairs out", "pairs")


def _answer(found: Match, model: str, asked: MatchRequest) -> dict[str, Any]:
    pairs = {} if found.pairs is None else {"pairs": Numbers(found.pairs)}
    return {
        "object": "attention.match",
        "model": model,
        "similarity": found.similarity,
        "meaning": MEANING,
        "inputs": [_input(i, side, asked.units) for i, side in enumerate(found.sides)],
        **pairs,
    }


def _input(index: int, side: Side, units: Units) -> dict[str, Any]:
    manifest = side.item.encoder.manifest
    return {
        "index": index,
        "model": manifest.name,
        "modality": manifest.modality,
        "truncated": side.item.prepared.truncated,
        "similarities": side.similarities,
        "contributions": side.contributions,
        "relevance": side.relevance,
        **aligned.told_on(side.item, units),
    }
