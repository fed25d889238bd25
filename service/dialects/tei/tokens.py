"""Texts to tokens and back: `/tokenize` and `/decode`."""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
from starlette.responses import Response

from models.preprocess.errors import NotInVocabulary
from models.preprocess.tokens import Piece
from service import errors
from service.dialects.tei.request import DecodeRequest, TokenizeRequest
from service.http import body, pieces, responses
from service.http.embedding import check_prompt, text_encoder
from service.http.exchange import Exchange
from service.http.withdrawal import Watch

MOST_CHARACTERS = 100_000
"""Of the texts of one request to be tokenized whole: their answer has up to 70 times as many bytes."""


async def tokenize(request: Exchange) -> Response:
    """All tokens of texts, uncut."""
    asked = await TokenizeRequest.read(request)
    if sum(map(len, asked.inputs)) > MOST_CHARACTERS:
        raise errors.InvalidInput(f"the texts have more than {MOST_CHARACTERS} characters", "inputs")
    state = request.headlight
    encoder = text_encoder(state, asked.model)
    check_prompt(encoder, asked.prompt_name)

    def run() -> bytes:
        tokens = partial(encoder.tokenize, prompt=asked.prompt_name, special=asked.add_special_tokens)
        return b"[" + b",".join(pieces.dump(_tokens(text, tokens(text))) for text in asked.inputs) + b"]"

    async with Watch(request):
        written = await asyncio.get_running_loop().run_in_executor(state.tokenizing, run)
    return Response(written, media_type=body.JSON)


async def decode(request: Exchange) -> Response:
    """Texts of token ids."""
    asked = await DecodeRequest.read(request)
    state = request.headlight
    encoder = text_encoder(state, asked.model)

    def run() -> list[str]:
        return [encoder.decode(ids, skip_special=asked.skip_special_tokens) for ids in asked.ids]

    try:
        async with Watch(request):
            return responses.json(await asyncio.get_running_loop().run_in_executor(state.tokenizing, run))
    except NotInVocabulary as error:
        raise errors.InvalidTokens(str(error), "ids") from None


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
