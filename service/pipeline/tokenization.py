"""Tokenization and truncation of a request's texts.

Short texts are tokenized on the event loop, because waking a thread costs several times as much; others on threads, a
few texts at a time, in turn with other requests.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from models.preprocess.errors import TokenIdOutOfRange
from models.preprocess.model_input import ModelInput
from models.preprocess.tokenized_text import TokenizedText
from service.bootstrap import AppState
from service.engine.items import EngineRequest
from service.errors import DeadlineExceeded, InvalidTokens, NotReady
from service.pipeline.types import EmbedRequest
from service.runtime.encoder import TextEncoder

TextSource = str | Sequence[int]
"""A text, or the ids that its caller's own tokenizer made of it."""

CHUNK_TEXTS, CHUNK_CHARACTERS = 32, 65_536
"""Texts that are tokenized at a stretch, and characters of them unless it is one text: then others have a turn."""


class TokenizationJob:
    """Of a request's texts, a few at a time: after each, those have a turn who wait for a thread too."""

    def __init__(
        self,
        state: AppState,
        encoder: TextEncoder,
        embed_request: EmbedRequest,
        texts: Sequence[TextSource],
        input_indices: Sequence[int],
        engine_request: EngineRequest,
        check: Callable[[Sequence[ModelInput]], None],
        submit: Callable[[Sequence[ModelInput]], None],
    ) -> None:
        self._state = state
        self._encoder = encoder
        self._embed_request = embed_request
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
            self._texts, prompt=self._embed_request.prompt, kept_side=self._embed_request.kept
        ):
            self._run_chunk()
        else:
            self._schedule()

    def _schedule(self) -> None:
        try:
            self._state.engine.submit_async(self._state.tokenizer_pool, self._engine_request, self._run_chunk)
        except RuntimeError:  # the threads take no more
            raise NotReady("the server is shutting down") from None

    def _run_chunk(self) -> None:
        engine_request, texts, items, metrics = self._engine_request, self._texts, self._items, self._state.metrics
        if engine_request.done:
            return
        if time.monotonic() > engine_request.deadline:
            metrics.rejected.labels("deadline", self._encoder.name).inc(len(texts))
            raise DeadlineExceeded("the request's texts could not be tokenized before its deadline")
        chunk = next(self._pending_chunks)
        items += _tokenize(self._encoder, texts[chunk], self._input_indices[chunk], self._embed_request)
        self._check(items)
        if len(items) == len(texts):
            metrics.for_model(self._encoder.name).preprocess_seconds.observe(
                time.monotonic() - engine_request.created_at
            )
            self._submit(items)
            return
        self._schedule()


def _chunks(texts: Sequence[TextSource]) -> Iterator[slice]:
    """All of `texts`, those together that are tokenized at a stretch."""
    start = characters = 0
    for i, text in enumerate(texts):
        characters += len(text)
        if i > start and (i - start == CHUNK_TEXTS or characters > CHUNK_CHARACTERS):
            yield slice(start, i)
            start, characters = i, len(text)
    yield slice(start, len(texts))


def _tokenize(
    encoder: TextEncoder, texts: Sequence[TextSource], input_indices: Sequence[int], embed_request: EmbedRequest
) -> list[TokenizedText]:
    """Texts in one go, and among them what came as ids."""
    strings = [text for text in texts if isinstance(text, str)]
    tokenized = iter(encoder.preprocess(strings, prompt=embed_request.prompt, kept_side=embed_request.kept))
    tokens = []
    for text, index in zip(texts, input_indices, strict=True):
        try:
            tokens.append(
                next(tokenized) if isinstance(text, str) else encoder.from_token_ids(text, kept_side=embed_request.kept)
            )
        except TokenIdOutOfRange as error:
            raise InvalidTokens(str(error), embed_request.input_path(index)) from None
    return tokens
