"""The OpenAI dialect: `POST /v1/embeddings` and `GET /v1/models`, extended with images and attention."""

import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from models.contract.manifest import Manifest, Modality
from models.preprocess.prepared import Prepared
from service.engine.plan import AttentionPlan
from service.errors import (
    AttentionTooLarge,
    ContextLengthExceeded,
    InvalidParameter,
    TooManyInputs,
    UnsupportedMediaType,
)
from service.routes import answers, body, inputs, withdrawal
from service.routes.schemas import EmbeddingOptions, EmbeddingsRequest
from service.settings import Settings
from service.state import State

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")


async def embeddings(request: Request) -> Response:
    """Validate, then prepare on threads, queue, and answer."""
    state: State = request.app.state.headlight
    settings = state.settings
    asked, sources, strings = await _read(request, settings)
    encoder = state.model(asked.model)
    request.state.model = encoder.name
    _check_dimensions(asked, encoder.manifest)
    plan = asked.attention.to_query().plan(encoder.manifest) if asked.attention else None
    state.engine.check_room(len(sources))
    ticket = state.engine.ticket(deadline=time.monotonic() + settings.request_timeout_ms / 1000)

    def submit(items: Sequence[Prepared]) -> None:
        if not asked.truncate:
            _refuse_truncated(items)
        if plan:
            _check_attention(plan, items, settings)
        state.engine.submit(ticket, encoder.name, items, plan)

    await inputs.prepare(state, encoder, sources, strings, ticket, submit)
    results = await withdrawal.results(request, state.engine, ticket)
    return await answers.embeddings(asked, encoder, ticket.prepared, results)


async def models(request: Request) -> Response:
    """The served models and what they can do."""
    state: State = request.app.state.headlight
    return answers.json({"object": "list", "data": list(map(answers.model, state.models.values()))})


async def _read(request: Request, settings: Settings) -> tuple[EmbeddingOptions, Sequence[inputs.Input], Modality]:
    """What is asked of which inputs, and what plain strings among them are. An image can also be the body itself."""
    kind = body.media_type(request)
    if kind != body.JSON and kind not in IMAGE_TYPES:
        raise UnsupportedMediaType(
            f"send the body as Content-Type: {body.JSON}, or an image as {', '.join(IMAGE_TYPES)}"
        )
    content = await body.read(request, max_bytes=settings.max_body_bytes)
    if kind in IMAGE_TYPES:
        return EmbeddingOptions.from_query(request.query_params), [content], "image"
    fields = body.parse(content)
    _check_count(fields, settings.max_items)
    asked = EmbeddingsRequest.parse(fields)
    return asked, asked.input, asked.modality or "text"


def _check_count(fields: object, max_items: int) -> None:
    """Count before validating: a million small objects would take seconds of the event loop."""
    value = fields.get("input") if isinstance(fields, dict) else None
    if isinstance(value, list) and len(value) > max_items and not isinstance(value[0], int):  # numbers are no items
        raise TooManyInputs(f"{len(value)} inputs, at most {max_items} are taken", "input")


def _check_dimensions(asked: EmbeddingOptions, manifest: Manifest) -> None:
    width = manifest.embedding.width
    if asked.dimensions is not None and asked.dimensions > width:
        raise InvalidParameter(f"dimensions are 1 to {width} in this model", "dimensions")


def _refuse_truncated(items: Sequence[Prepared]) -> None:
    for i, item in enumerate(items):
        if item.truncated:
            raise ContextLengthExceeded(f"the text has more than {item.positions} tokens", f"input[{i}]")


def _check_attention(plan: AttentionPlan, items: Sequence[Prepared], settings: Settings) -> None:
    """What can be refused only when the lengths are known."""
    shortest = min(plan.told(item.positions) for item in items)
    if isinstance(plan.query, int) and plan.query >= shortest:
        raise InvalidParameter(f"query {plan.query} is past an input of {shortest} positions", "attention.query")
    size = sum(plan.answer_bytes(item.positions) for item in items)
    if size > settings.max_attention_bytes:
        raise AttentionTooLarge(
            f"the attention asked for is {size} bytes, at most {settings.max_attention_bytes} are given; "
            "reduce=rollout is one weight per token or cell",
            "attention",
        )
