"""The path of a request, whatever its dialect: choose models, prepare on threads, queue, wait, finish."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import numpy as np
from starlette.requests import Request

from models.preprocess.prepared import Prepared
from service.engine.engine import Engine
from service.engine.items import ItemResult, Ticket
from service.engine.plan import AttentionPlan, VectorPlan
from service.engine.timing import Timing
from service.errors import (
    AttentionTooLarge,
    ContextLengthExceeded,
    InvalidInput,
    InvalidParameter,
    TooManyInputs,
)
from service.http import inputs, withdrawal
from service.http.asked import Asked, Embedded, Item, modality
from service.http.deadline import deadline_of
from service.runtime.encoder import AnyEncoder, TextEncoder
from service.state import State

Wait = Callable[[Engine, Ticket], Awaitable[list[ItemResult]]]


async def embed(request: Request, asked: Asked) -> Embedded:
    """Raises RequestError, ModelNotFound, Unavailable or InferenceFailed; ClientDisconnect when the client goes."""
    state: State = request.app.state.headlight
    if asked.model is not None:
        request.state.model = state.model(asked.model).name
    deadline = deadline_of(request, state.settings.request_timeout_ms)
    embedded = await embed_for(state, asked, deadline, partial(withdrawal.results, request))
    request.state.model = embedded.encoder.name
    request.state.items, request.state.positions = len(embedded.items), embedded.positions
    request.state.timing = embedded.timing
    return embedded


async def embed_for(state: State, asked: Asked, deadline: float, wait: Wait = Engine.results) -> Embedded:
    """The same for who is no HTTP client; `wait` is how results are waited for."""
    count, most = len(asked.inputs), state.settings.max_items
    if count > most:
        raise TooManyInputs(f"{count} inputs, at most {most} are taken", asked.names(most))
    encoder = state.model(asked.model) if asked.model is not None else state.first(modality(asked.inputs[0]))
    groups = _by_model(state, encoder, asked)
    state.engine.check_room(count)
    parts = [_Part(state, of, asked, places, deadline, wait) for of, places in groups]
    items = await parts[0].items() if len(parts) == 1 else await _together(parts, count)
    return Embedded(encoder, items, Timing.of([part.ticket for part in parts]))


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
    found: dict[int, Item] = {}
    for part, items in zip(parts, made, strict=True):
        found.update(zip(part.places, items, strict=True))
    return [found[place] for place in range(count)]


class _Part:
    """Of a request, what one model answers: the inputs at `places`."""

    def __init__(
        self, state: State, encoder: AnyEncoder, asked: Asked, places: Sequence[int], deadline: float, wait: Wait
    ) -> None:
        """Raises InvalidParameter for what this model does not have."""
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
        self._wait = wait

    async def items(self) -> list[Item]:
        """What becomes of the inputs."""
        await inputs.prepare(
            self._state, self._encoder, self._asked, self.places, self.ticket, self._check, self._submit
        )
        results = await self._wait(self._state.engine, self.ticket)
        pooled = np.stack([result.embedding for result in results])
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
        if self._plan:
            _check_query(self._plan, items)
            cheaper = "reduce=rollout is one weight per token or cell"
            self._check_size(self._plan, items, "attention", cheaper, "attention")
            self._check_computed(self._plan, items)
        if self._vectors:
            self._check_size(self._vectors, items, "vectors of all tokens", "send fewer or shorter inputs")

    def _refuse_truncated(self, items: Sequence[Prepared]) -> None:
        for place, item in zip(self.places, items, strict=False):
            if item.truncated:
                told = f"the text has more than {item.positions} tokens"
                raise ContextLengthExceeded(told, self._asked.names(place))

    def _check_size(
        self,
        plan: AttentionPlan | VectorPlan,
        items: Sequence[Prepared],
        what: str,
        cheaper: str,
        param: str | None = None,
    ) -> None:
        size, most = sum(plan.answer_bytes(item.positions) for item in items), self._state.settings.max_attention_bytes
        if size > most:
            told = f"the {what} asked for: {size} bytes or more, at most {most} are given; {cheaper}"
            raise AttentionTooLarge(told, param)

    def _check_computed(self, plan: AttentionPlan, items: Sequence[Prepared]) -> None:
        """One item need not hold gigabytes to answer with a few numbers; batches are bounded by themselves."""
        n, most = max(item.positions for item in items), self._state.settings.attention_workspace_bytes
        size = plan.workspace_bytes(n)
        if size > most:
            told = f"the attention of {n} positions takes {size} bytes to compute, at most {most} are held"
            shorter = f"send at most {plan.longest(n, most)} tokens, or " if self._encoder.manifest.text else ""
            raise AttentionTooLarge(f"{told}; {shorter}ask for reduce=raw with fewer layers and heads", "attention")


def _check_query(plan: AttentionPlan, items: Sequence[Prepared]) -> None:
    if not (plan.words or isinstance(plan.query, int)):
        return
    entries = [count for item in items if (count := plan.entries(item)) is not None]
    if len(entries) < len(items):
        raise InvalidParameter("token ids come without their words; send the text", "attention.units")
    if isinstance(plan.query, int) and plan.query >= min(entries):
        what = "words" if plan.words else "positions"
        raise InvalidParameter(f"query {plan.query} is past an input of {min(entries)} {what}", "attention.query")
