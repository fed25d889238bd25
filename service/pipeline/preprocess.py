"""Preprocessing of a request's inputs on threads; the event loop tokenizes only short texts, and decodes no images.

Shared by the dialects. Every error names its input.
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Iterator, Sequence

from models.preprocess import errors as images
from models.preprocess.errors import TokenIdError
from models.preprocess.image import PreprocessedImage
from models.preprocess.model_input import ModelInput, TextPair, TokenizedText
from service.app_state import AppState
from service.engine.items import EngineRequest
from service.errors import (
    BadRequestError,
    DeadlineExceeded,
    ImageTooLarge,
    InvalidImage,
    InvalidTokens,
    NotReady,
    UnsupportedImageFormat,
    UrlNotAllowed,
)
from service.pipeline.types import Image, InferenceRequest, Input, TokenIds
from service.runtime.encoder import AnyEncoder, ImageEncoder, TextEncoder

TextSource = str | TextPair | Sequence[int]
"""A text, a pair of texts, or the token ids of a text from the caller's own tokenizer."""

CHUNK_TEXTS, CHUNK_CHARACTERS = 32, 65_536
"""Maximum texts, and characters of several texts, tokenized per turn: then others have theirs."""


class TokenizationJob:
    """Tokenization of a request's texts, a few at a time, in turn with other requests that wait for a thread."""

    def __init__(
        self,
        state: AppState,
        encoder: TextEncoder,
        inference_request: InferenceRequest,
        texts: Sequence[TextSource],
        input_indices: Sequence[int],
        engine_request: EngineRequest,
        check: Callable[[Sequence[ModelInput]], None],
        submit: Callable[[Sequence[ModelInput]], None],
    ) -> None:
        self._state = state
        self._encoder = encoder
        self._inference_request = inference_request
        self._input_indices = input_indices
        self._engine_request = engine_request
        self._check = check
        self._submit = submit
        self._texts = texts
        self._pending_chunks = _chunks(texts)
        self._items: list[TokenizedText] = []

    def start(self) -> None:
        """Begin; a few brief texts are done then. Raises for those what threads tell the ticket, and NotReady."""
        few = len(self._texts) <= CHUNK_TEXTS
        if few and self._encoder.is_short(
            list(map(num_characters, self._texts)),
            prompt=self._inference_request.prompt,
            kept_side=self._inference_request.kept,
        ):
            self._run_chunk()
        else:
            self._schedule()

    def _schedule(self) -> None:
        try:
            self._state.engine.submit_async(self._state.tokenizer_pool, self._engine_request, self._run_chunk)
        except RuntimeError:  # the pool is shut down
            raise NotReady("the server is shutting down") from None

    def _run_chunk(self) -> None:
        engine_request, texts, items, metrics = self._engine_request, self._texts, self._items, self._state.metrics
        if engine_request.done:
            return
        if time.monotonic() > engine_request.deadline:
            metrics.rejected.labels("deadline", self._encoder.name).inc(len(texts))
            raise DeadlineExceeded("the request's texts could not be tokenized before its deadline")
        chunk = next(self._pending_chunks)
        items += _tokenize(self._encoder, texts[chunk], self._input_indices[chunk], self._inference_request)
        self._check(items)
        if len(items) == len(texts):
            metrics.for_model(self._encoder.name).preprocess_seconds.observe(
                time.monotonic() - engine_request.created_at
            )
            self._submit(items)
            return
        self._schedule()


def num_characters(source: TextSource) -> int:
    """Return the length of a text or pair, or the number of token ids."""
    return len(source.first) + len(source.second) if isinstance(source, TextPair) else len(source)


def _chunks(texts: Sequence[TextSource]) -> Iterator[slice]:
    """All of `texts`, those together that are tokenized at a stretch."""
    start = characters = 0
    for i, text in enumerate(texts):
        characters += num_characters(text)
        if i > start and (i - start == CHUNK_TEXTS or characters > CHUNK_CHARACTERS):
            yield slice(start, i)
            start, characters = i, num_characters(text)
    yield slice(start, len(texts))


def _tokenize(
    encoder: TextEncoder, texts: Sequence[TextSource], input_indices: Sequence[int], inference_request: InferenceRequest
) -> list[TokenizedText]:
    """Texts in one go, and among them what came as ids."""
    strings = [text for text in texts if isinstance(text, str | TextPair)]
    tokenized = iter(
        encoder.preprocess(
            strings,
            prompt=inference_request.prompt,
            kept_side=inference_request.kept,
            max_second_tokens=inference_request.max_document_tokens,
        )
    )
    tokens = []
    for text, index in zip(texts, input_indices, strict=True):
        try:
            tokens.append(
                next(tokenized)
                if isinstance(text, str | TextPair)
                else encoder.from_token_ids(text, kept_side=inference_request.kept)
            )
        except TokenIdError as error:
            raise InvalidTokens(str(error), inference_request.input_path(index)) from None
    return tokens


_IMAGE_ERRORS: dict[type[images.ImageDecodeError], type[BadRequestError]] = {
    images.InvalidImage: InvalidImage,
    images.UnsupportedImageFormat: UnsupportedImageFormat,
    images.TooManyPixels: ImageTooLarge,
}

_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


async def preprocess(
    state: AppState,
    encoder: AnyEncoder,
    inference_request: InferenceRequest,
    input_indices: Sequence[int],
    engine_request: EngineRequest,
    check: Callable[[Sequence[ModelInput]], None],
    submit: Callable[[Sequence[ModelInput]], None],
) -> None:
    """Preprocess the inputs at `input_indices`, of the encoder's modality, then submit them.

    Inputs are preprocessed a few at a time, in turn with those of other requests, and `check` runs after each step, so
    that invalid requests fail early. Raises BadRequestError, DeadlineExceeded, Overloaded or NotReady; for texts that
    are not few and short, the error is set on `engine_request` instead.
    """
    if isinstance(encoder, TextEncoder):
        texts = [_text_source(inference_request.inputs[place]) for place in input_indices]
        TokenizationJob(state, encoder, inference_request, texts, input_indices, engine_request, check, submit).start()
        return
    sources = [_image_source(inference_request, place) for place in input_indices]
    with state.metrics.for_model(encoder.name).preprocess_seconds.time():
        decoded_images = await _decode_images(
            state, encoder, sources, list(map(inference_request.input_path, input_indices)), engine_request.deadline
        )
    check(decoded_images)
    submit(decoded_images)


async def _decode_images(
    state: AppState,
    encoder: ImageEncoder,
    sources: Sequence[str | bytes],
    input_paths: Sequence[str],
    deadline: float,
) -> list[PreprocessedImage]:
    """Decode as many images at a time as there are decoders, in turn with other requests.

    Of several bad images the first is named, whatever the timing.
    """
    loop = asyncio.get_running_loop()
    concurrency = state.settings.intra_op_threads()
    decoded_images: list[PreprocessedImage] = []
    for start in range(0, len(sources), concurrency):
        if time.monotonic() > deadline:
            state.metrics.rejected.labels("deadline", encoder.name).inc(len(sources))
            raise DeadlineExceeded("the request's images could not be decoded before its deadline")
        chunk = sources[start : start + concurrency]
        futures = [loop.run_in_executor(state.image_pool, _decode, encoder, file) for file in chunk]
        for input_path, decoded in zip(input_paths[start:], await asyncio.gather(*futures), strict=False):
            if isinstance(decoded, BadRequestError):
                decoded.param = input_path
                raise decoded
            decoded_images.append(decoded)
    return decoded_images


def _decode(encoder: ImageEncoder, source: str | bytes) -> PreprocessedImage | BadRequestError:
    try:
        return encoder.preprocess([decode_base64_image(source) if isinstance(source, str) else source])[0]
    except images.ImageDecodeError as problem:
        return _IMAGE_ERRORS[type(problem)](str(problem))
    except InvalidImage as error:
        return error


def decode_base64_image(encoded: str) -> bytes:
    """Decode base64, with the line breaks that tools put in. Raises InvalidImage."""
    prefix = _DATA_URL.match(encoded)
    payload = encoded[prefix.end() :] if prefix else encoded
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters past ASCII
        raise InvalidImage("the image is not valid base64") from None


def _text_source(value: Input) -> TextSource:
    assert not isinstance(value, Image)
    return value.ids if isinstance(value, TokenIds) else value


def _image_source(inference_request: InferenceRequest, index: int) -> str | bytes:
    value = inference_request.inputs[index]
    assert isinstance(value, Image)
    if isinstance(value.file, str) and _URL.match(value.file):
        raise UrlNotAllowed("image URLs are not fetched; send the file as base64", inference_request.input_path(index))
    return value.file
