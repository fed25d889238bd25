"""Types of the engine: items, their results, and requests that wait for them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from models.preprocess.model_input import ModelInput
from service.engine.plan import AttentionPlan, AttentionWeights, TokenEmbeddingPlan


@dataclass(frozen=True, slots=True)
class ItemOutput:
    """`output` is the embedding `[e]`, pooled and not normalized, a head's logits `[c]`, or `[n, c]` by token, or a
    packed sparse vector;
    `attention` has the shape of its query; `token_embeddings`, if requested, are `[n, e]` for the item's n positions,
    not normalized."""

    output: Floats
    attention: AttentionWeights | None
    token_embeddings: Floats | None = None


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Properties shared by the items of a batch: model, fetched tensors, and heads.

    A small batch may have items of two keys, one `compatible_with` the other.
    """

    model: str
    outputs: tuple[str, ...]
    heads: tuple[int, ...] = ()

    @classmethod
    def from_plans(
        cls,
        model: str,
        attention: AttentionPlan | None,
        token_embeddings: TokenEmbeddingPlan | None,
        *,
        sparse_tokens: bool = False,
    ) -> Self:
        """Return the key of a request's items."""
        positions = (
            *((tensors.TOKEN_EMBEDDINGS,) if token_embeddings else ()),
            *((tensors.SPARSE_TOKENS,) if sparse_tokens else ()),
        )
        attention_outputs, heads = (attention.outputs, attention.chosen_heads) if attention else ((), ())
        return cls(model, (tensors.OUTPUT, *positions, *attention_outputs), heads)

    @property
    def output_only(self) -> bool:
        """Nothing is fetched but the main output."""
        return self.outputs == (tensors.OUTPUT,)

    @property
    def needs_attention(self) -> bool:
        """Whether attention is fetched."""
        return not set(self.outputs) <= {tensors.OUTPUT, *tensors.WITHOUT_ATTENTION}

    def compatible_with(self, other: "BatchKey") -> bool:
        """Return whether this key fetches the embedding only, and the other attention too, of the same model."""
        with_attention, output_only = (self, other) if self.needs_attention else (other, self)
        return (
            output_only.output_only
            and with_attention.needs_attention
            and with_attention.model == output_only.model
            and not set(tensors.WITHOUT_ATTENTION) & {*with_attention.outputs}
        )


def batch_key(items: "Sequence[QueueItem]") -> BatchKey:
    """Return the key a batch runs under: if an item needs attention, all are computed with it."""
    return next((item.batch_key for item in items if item.batch_key.needs_attention), items[0].batch_key)


class EngineRequest:
    """One request's wait for all of its items.

    `deadline`, on `time.monotonic`'s clock, bounds the wait for the first of them to run. The first failed item fails
    the request. `future` belongs to the event loop, where it is settled; all else is the queue's, and changes under its
    lock. `prepared` are the items once they are queued; the event loop reads them when `future` is done, and the
    moments, on the same clock: `created_at` and `queued_at`, `started_at` with the first item that ran, and
    `finished_at`.
    """

    def __init__(self, *, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = deadline
        self.loop = loop
        self.created_at = self.queued_at = self.started_at = self.finished_at = time.monotonic()
        self.future: asyncio.Future[list[ItemOutput]] = loop.create_future()
        self.waiting_items: OrderedDict[QueueItem, None] = OrderedDict()
        self.attention_bytes = 0
        self.small_tokens = 0
        self.done = False
        """Whether nobody waits any more: completed, failed or cancelled."""
        self.prepared: Sequence[ModelInput] = ()
        self._results: list[ItemOutput | None] = []
        self._pending_count = 0
        self._started = False

    def set_items(self, prepared: Sequence[ModelInput]) -> None:
        """Say what there will be results of, before the first is filled in."""
        self.queued_at = self.started_at = time.monotonic()
        self.prepared = prepared
        self._results = [None] * len(prepared)
        self._pending_count = len(prepared)

    def mark_started(self, now: float) -> None:
        """One of its items is in a batch."""
        if not self._started:
            self._started, self.started_at = True, now

    def set_result(self, index: int, result: ItemOutput) -> bool:
        """Note one item's result; True when it was the last that was missing."""
        self._results[index] = result
        self._pending_count -= 1
        return self._pending_count == 0

    def resolve(self, outcome: BaseException | None = None) -> None:
        """Answer with the results, or with an error. On the event loop, once; a cancelled wait is left alone."""
        if self.future.done():
            return
        if outcome is None:
            self.future.set_result([result for result in self._results if result is not None])
        else:
            self.future.set_exception(outcome)


@dataclass(frozen=True, slots=True)
class Waiter:
    """Destination of a result: the `index`th of a request, with its own slice of the attention."""

    request: EngineRequest
    index: int
    attention: AttentionPlan | None


@dataclass(slots=True, eq=False)
class QueueItem:
    """Text or image waiting for a batch, for all requests with the same input."""

    batch_key: BatchKey
    prepared: ModelInput
    waiters: list[Waiter]
    queued_at: float = field(default_factory=time.monotonic)

    @property
    def positions(self) -> int:
        """Cost: the length of its sequence."""
        return self.prepared.num_tokens

    @property
    def data(self) -> InputArray:
        return self.prepared.data


@dataclass(slots=True, eq=False)
class Batch:
    """What one thread runs. `exclusive`: nothing else ran or waited when it was taken, nor for a while before."""

    items: list[QueueItem]
    exclusive: bool

    @property
    def tokens(self) -> int:
        return sum(item.positions for item in self.items)


STAGES = ("preprocess", "queue", "inference", "serialize")


@dataclass(frozen=True, slots=True)
class Timing:
    """Timestamps on `time.monotonic`'s clock.

    Inputs are preprocessed from `created_at` to `queued_at`, wait until `started_at`, when the first of them ran, and
    are done at `finished_at`. Serialization follows.
    """

    created_at: float
    queued_at: float
    started_at: float
    finished_at: float

    @classmethod
    def merge(cls, requests: Sequence[EngineRequest]) -> Self:
        """Merge the timestamps of a request to several models: the last of each."""
        if len(requests) == 1:
            (request,) = requests
            return cls(request.created_at, request.queued_at, request.started_at, request.finished_at)
        return cls(
            min(request.created_at for request in requests),
            max(request.queued_at for request in requests),
            max(ticket.started_at for ticket in requests),
            max(ticket.finished_at for ticket in requests),
        )

    def stages(self) -> Iterator[tuple[str, float, float]]:
        """Each stage, when it began and when it was over; the last is taken to be over now."""
        moments = (self.created_at, self.queued_at, self.started_at, self.finished_at, time.monotonic())
        yield from zip(STAGES, moments[:-1], moments[1:], strict=True)

    def stages_ms(self) -> dict[str, float]:
        """How long each took, to a hundredth."""
        return {name: round((end - start) * 1000, 2) for name, start, end in self.stages()}
