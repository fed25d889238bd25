"""The path of a request, whatever its dialect: choose models, prepare on threads, queue, wait, finish."""

import asyncio
from collections.abc import Sequence

import numpy as np

from models.preprocess.prepared import Prepared
from service.engine.items import Ticket
from service.engine.plan import AttentionPlan, VectorPlan
from service.engine.timing import Timing
from service.errors import (
    ContextLengthExceeded,
    InvalidInput,
    InvalidParameter,
    TooManyInputs,
)
from service.http import inputs
from service.http.asked import Asked, Embedded, Image, Input, Item, TokenIds, modality
from service.http.deadline import deadline_of
from service.http.exchange import Exchange
from service.http.sizes import Sizes
from service.http.withdrawal import Watch
from service.runtime.encoder import AnyEncoder, TextEncoder
from service.state import State

CHARACTERS_A_TOKEN = 5
"""About what a token of prose has. What there is no room for by this count is refused before it is tokenized, which
takes as long as all else of a refusal; a text of longer words may be refused a little early."""


async def embed(request: Exchange, asked: Asked) -> Embedded:
    """Raises RequestError, ModelNotFound, Unavailable or InferenceFailed; ClientDisconnect when the client goes."""
    state = request.headlight
    if asked.model is not None:
        request.answered.model = state.model(asked.model).name
    deadline = deadline_of(request, state.settings.request_timeout_ms)
    request.tickets = tickets = list[Ticket]()
    async with Watch(request):
        embedded = await embed_for(state, asked, deadline, tickets)
    answered = request.answered
    answered.model, answered.timing = embedded.encoder.name, embedded.timing
    answered.items, answered.positions = len(embedded.items), embedded.positions
    return embedded


def release(request: Exchange) -> None:
    """The answer is sent, or will not be: what of it was promised is owed no more."""
    for ticket in request.tickets:
        request.headlight.engine.sent(ticket)
    request.tickets = ()  # they hold the results


async def embed_for(state: State, asked: Asked, deadline: float, tickets: list[Ticket]) -> Embedded:
    """The same for who is no HTTP client. Of each of `tickets`, which are added to, the engine must be told that its
    answer is `sent`.
    """
    count, most = len(asked.inputs), state.settings.max_items
    if count > most:
        raise TooManyInputs(f"{count} inputs, at most {most} are taken", asked.names(most))
    encoder = state.model(asked.model) if asked.model is not None else state.first(modality(asked.inputs[0]))
    groups = _by_model(state, encoder, asked)
    state.engine.check_room(count, sum(_tokens_about(asked.inputs[i], of) for of, places in groups for i in places))
    sizes = Sizes(state.settings, len(groups))
    parts = [_Part(state, of, asked, places, deadline, (sizes, i)) for i, (of, places) in enumerate(groups)]
    tickets += [part.ticket for part in parts]
    items = await parts[0].items() if len(parts) == 1 else await _together(parts, count)
    return Embedded(encoder, items, Timing.of([part.ticket for part in parts]))


def text_encoder(state: State, name: str | None) -> TextEncoder:
    """The model of that name, or the first that takes texts. Raises InvalidInput, ModelNotFound or NotReady."""
    encoder = state.first("text") if name is None else state.model(name)
    if not isinstance(encoder, TextEncoder):
        raise InvalidInput("this model takes images, not texts", "model")
    return encoder


def _tokens_about(value: Input, encoder: AnyEncoder) -> int:
    """Of an input that is not prepared yet; every picture has as many positions."""
    if isinstance(value, Image):
        return encoder.max_positions
    length = len(value.ids) if isinstance(value, TokenIds) else len(value) // CHARACTERS_A_TOKEN
    return min(max(1, length), encoder.max_positions)


def check_prompt(encoder: TextEncoder, name: str | None) -> None:
    """Raises InvalidParameter for a prompt that the model does not have."""
    known = encoder.prompts
    if name is not None and name not in known:
        told = f"those of this model are {', '.join(known)}" if known else "this model has none"
        raise InvalidParameter(f"no prompt of that name; {told}", "prompt_name")


def _by_model(state: State, encoder: AnyEncoder, asked: Asked) -> list[tuple[AnyEncoder, Sequence[int]]]:
    """Which inputs go to which model: those of another modality to the one that shares the space."""
    kinds = [modality(value) for value in asked.inputs]
    if kinds.count(encoder.manifest.modality) == len(kinds):
        return [(encoder, range(len(kinds)))]
    groups = {}
    for kind in dict.fromkeys(kinds):
        places = [i for i, found in enumerate(kinds) if found == kind]
        of = state.of_space(encoder, kind)
        if of is None:
            wanted = "texts, not images" if kind == "image" else "images, not texts"
            raise InvalidInput(f"this model takes {wanted}", asked.names(places[0]))
        groups[of.name] = of, places
    return list(groups.values())


async def _together(parts: "Sequence[_Part]", count: int) -> list[Item]:
    """All parts at a time; the first that fails fails the request, and the others leave the queue."""
    waiting = [asyncio.ensure_future(part.items()) for part in parts]
    try:
        made = await asyncio.gather(*waiting)
    finally:
        for other in waiting:
            other.cancel()
        await asyncio.wait(waiting)  # what they were promised is theirs until they have left
    found: dict[int, Item] = {}
    for part, items in zip(parts, made, strict=True):
        found.update(zip(part.places, items, strict=True))
    return [found[place] for place in range(count)]


class _Part:
    """Of a request, what one model answers: the inputs at `places`."""

    def __init__(
        self,
        state: State,
        encoder: AnyEncoder,
        asked: Asked,
        places: Sequence[int],
        deadline: float,
        sizes: tuple[Sizes, int],
    ) -> None:
        """`sizes` are the request's, and which of its parts this is. Raises InvalidParameter for what this model does
        not have."""
        width = encoder.manifest.embedding.width
        if asked.dimensions is not None and asked.dimensions > width:
            raise InvalidParameter(f"dimensions are 1 to {width} in this model", asked.dimensions_name)
        if isinstance(encoder, TextEncoder):
            check_prompt(encoder, asked.prompt)
        self.places = places
        self.ticket: Ticket = state.engine.ticket(deadline=deadline)
        self._state = state
        self._encoder = encoder
        self._asked = asked
        left_out = asked.attention_optional and encoder.manifest.attention is None
        self._plan = asked.attention.plan(encoder.manifest) if asked.attention and not left_out else None
        self._vectors = VectorPlan(width) if asked.vectors else None
        self._sizes, self._part = sizes

    async def items(self) -> list[Item]:
        """What becomes of the inputs."""
        await inputs.prepare(
            self._state, self._encoder, self._asked, self.places, self.ticket, self._check, self._submit
        )
        results = await self._state.engine.results(self.ticket)
        pooled = np.array([result.embedding for result in results])
        vectors = self._encoder.finish(pooled, self._asked.dimensions, normalize=self._asked.normalize)
        return [
            Item(self._encoder, prepared, vector, result.attention, result.vectors)
            for prepared, vector, result in zip(self.ticket.prepared, vectors, results, strict=True)
        ]

    def _submit(self, items: Sequence[Prepared]) -> None:
        self._state.engine.submit(self.ticket, self._encoder.name, items, self._plan, vectors=self._vectors)

    def _check(self, items: Sequence[Prepared]) -> None:
        """What can be refused only when lengths are known; of the first items, when there are more to come."""
        if not self._asked.truncate:
            self._refuse_truncated(items)
        if self._asked.max_tokens is not None and isinstance(self._encoder, TextEncoder):
            self._refuse_longer(items, self._asked.max_tokens)
        if self._plan:
            _check_query(self._plan, items)
            texts = isinstance(self._encoder, TextEncoder)
            self._sizes.check_attention(self._part, self._plan, items, texts=texts)
        if self._vectors:
            self._sizes.check_vectors(self._part, self._vectors, items)

    def _refuse_truncated(self, items: Sequence[Prepared]) -> None:
        for place, item in zip(self.places, items, strict=False):
            if item.truncated:
                told = f"the text has more than {item.positions} tokens"
                raise ContextLengthExceeded(told, self._asked.names(place))

    def _refuse_longer(self, items: Sequence[Prepared], most: int) -> None:
        for place, item in zip(self.places, items, strict=False):
            if item.positions > most and not self._asked.truncate:
                raise ContextLengthExceeded(f"the text has more than {most} tokens", self._asked.names(place))
            if item.positions > most:
                told = (
                    f"texts are cut to the model's {self._encoder.max_positions} tokens only; one has more than {most}"
                )
                raise InvalidParameter(told, "max_tokens")


def _check_query(plan: AttentionPlan, items: Sequence[Prepared]) -> None:
    if not (plan.words or isinstance(plan.query, int)):
        return
    entries = [count for item in items if (count := plan.entries(item)) is not None]
    if len(entries) < len(items):
        raise InvalidParameter("token ids come without their words; send the text", "attention.units")
    if isinstance(plan.query, int) and plan.query >= min(entries):
        what = "words" if plan.words else "positions"
        raise InvalidParameter(f"query {plan.query} is past an input of {min(entries)} {what}", "attention.query")
