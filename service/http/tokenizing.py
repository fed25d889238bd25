"""A request's texts made tokens: brief ones at once, for to wake a thread costs several times as much; others on
threads, a few at a time, and after each few, others have a turn.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from models.preprocess.errors import NotInVocabulary
from models.preprocess.prepared import Prepared
from models.preprocess.tokens import Tokens
from service.engine.items import Ticket
from service.errors import DeadlineExceeded, InvalidTokens, NotReady
from service.http.asked import Asked
from service.runtime.encoder import TextEncoder
from service.state import State

Text = str | Sequence[int]
"""A text, or the ids that its caller's own tokenizer made of it."""

AT_ONCE, AT_ONCE_CHARACTERS = 32, 65_536
"""Texts that are tokenized at a stretch, and characters of them unless it is one text: then others have a turn."""


class Tokenizing:
    """Of a request's texts, a few at a time: after each, those have a turn who wait for a thread too."""

    def __init__(
        self,
        state: State,
        encoder: TextEncoder,
        asked: Asked,
        texts: Sequence[Text],
        places: Sequence[int],
        ticket: Ticket,
        check: Callable[[Sequence[Prepared]], None],
        submit: Callable[[Sequence[Prepared]], None],
    ) -> None:
        self._state = state
        self._encoder = encoder
        self._asked = asked
        self._places = places
        self._ticket = ticket
        self._check = check
        self._submit = submit
        self._texts = texts
        self._stretches = _stretches(texts)
        self._items: list[Tokens] = []

    def begin(self) -> None:
        """Begin; a few brief texts are done then. Raises for those what threads tell the ticket, and NotReady."""
        few = len(self._texts) <= AT_ONCE
        if few and self._encoder.is_brief(self._texts, prompt=self._asked.prompt, kept=self._asked.kept):
            self._next()
        else:
            self._go_on()

    def _go_on(self) -> None:
        try:
            self._state.engine.submit_from(self._state.tokenizing, self._ticket, self._next)
        except RuntimeError:  # the threads take no more
            raise NotReady("the server is stopping") from None

    def _next(self) -> None:
        ticket, texts, items, metrics = self._ticket, self._texts, self._items, self._state.metrics
        if ticket.closed:
            return
        if time.monotonic() > ticket.deadline:
            metrics.shed.labels("deadline").inc(len(texts))
            raise DeadlineExceeded("the request's texts could not be tokenized before its deadline")
        some = next(self._stretches)
        items += _tokenized(self._encoder, texts[some], self._places[some], self._asked)
        self._check(items)
        if len(items) == len(texts):
            metrics.of(self._encoder.name).preprocess_seconds.observe(time.monotonic() - ticket.asked)
            self._submit(items)
            return
        self._go_on()


def _stretches(texts: Sequence[Text]) -> Iterator[slice]:
    """All of `texts`, those together that are tokenized at a stretch."""
    start = characters = 0
    for i, text in enumerate(texts):
        characters += len(text)
        if i > start and (i - start == AT_ONCE or characters > AT_ONCE_CHARACTERS):
            yield slice(start, i)
            start, characters = i, len(text)
    yield slice(start, len(texts))


def _tokenized(encoder: TextEncoder, texts: Sequence[Text], places: Sequence[int], asked: Asked) -> list[Tokens]:
    """Texts in one go, and among them what came as ids."""
    strings = [text for text in texts if isinstance(text, str)]
    made = iter(encoder.prepare(strings, prompt=asked.prompt, kept=asked.kept))
    found = []
    for text, place in zip(texts, places, strict=True):
        try:
            found.append(next(made) if isinstance(text, str) else encoder.given(text, kept=asked.kept))
        except NotInVocabulary as error:
            raise InvalidTokens(str(error), asked.names(place)) from None
    return found
