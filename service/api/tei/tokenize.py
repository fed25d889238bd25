"""`/tokenize` and `/decode`: texts to tokens and back."""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
from starlette.responses import Response

from models.preprocess.errors import TokenIdOutOfRange
from models.preprocess.tokenized_text import TokenOffset
from service import errors
from service.api.tei.request import DecodeRequest, TokenizeRequest
from service.http import body, responses
from service.http.request import CancelOnDisconnect, HttpRequest
from service.pipeline.embed import check_prompt, text_encoder

MAX_CHARACTERS = 100_000
"""Of the texts of one request to be tokenized whole: their answer has up to 70 times as many bytes."""


async def tokenize(request: HttpRequest) -> Response:
    """All tokens of texts, uncut."""
    payload = await TokenizeRequest.read(request)
    if sum(map(len, payload.inputs)) > MAX_CHARACTERS:
        raise errors.InvalidInput(f"the texts exceed the limit of {MAX_CHARACTERS} characters", "inputs")
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
    except TokenIdOutOfRange as error:
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
