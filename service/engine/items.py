"""What passes through the engine: items, their results, and the ticket that a request waits on."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from models.contract import tensors
from models.contract.arrays import Data, Floats
from models.preprocess.prepared import Prepared
from service.engine.condensing import Weights
from service.engine.plan import AttentionPlan, VectorPlan


@dataclass(frozen=True, slots=True)
class ItemResult:
    """`embedding` is `[e]`, pooled and not normalised; `attention` has the shape that its query gives; `vectors`, where
    they were asked for, are `[n, e]`, one for each of the item's n positions, not normalised either."""

    embedding: Floats
    attention: Weights | None
    vectors: Floats | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """What items of a batch have in common: model, the tensors fetched for them, and of which heads. Small batches may
    be of two lanes, one of which `shares_with` the other.
    """

    model: str
    outputs: tuple[str, ...]
    heads: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: str, attention: AttentionPlan | None, vectors: VectorPlan | None) -> Self:
        """That of a request's items."""
        positions = (tensors.POSITIONS,) if vectors else ()
        observed, heads = (attention.outputs, attention.chosen_heads) if attention else ((), ())
        return cls(model, (tensors.EMBEDDING, *positions, *observed), heads)

    @property
    def plain(self) -> bool:
        """Nothing is fetched but the embedding."""
        return self.outputs == (tensors.EMBEDDING,)

    @property
    def observed(self) -> bool:
        """Attention is among what is fetched."""
        return not set(self.outputs) <= {tensors.EMBEDDING, tensors.POSITIONS}

    def shares_with(self, other: "Lane") -> bool:
        """Of one model, and of one only the embedding is fetched, of the other attention too."""
        seen, plain = (self, other) if self.observed else (other, self)
        return plain.plain and seen.observed and seen.model == plain.model and tensors.POSITIONS not in seen.outputs


def lane_of(items: "Sequence[Item]") -> Lane:
    """What a batch runs as: for an item of which attention is asked, the others are computed with it."""
    return next((item.lane for item in items if item.lane.observed), items[0].lane)


class Ticket:
    """One request's wait for all of its items.

    `deadline`, on `time.monotonic`'s clock, bounds the wait for the first of them to run. The first failed item fails
    the request. `future` belongs to the event loop, where it is settled; all else is the queue's, and changes under its
    lock. `prepared` are the items once they are queued; the event loop reads them when `future` is done, and the
    moments, on the same clock: `asked` and `queued`, `began` with the first item that ran, and `ended`.
    """

    def __init__(self, *, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = deadline
        self.loop = loop
        self.asked = self.queued = self.began = self.ended = time.monotonic()
        self.future: asyncio.Future[list[ItemResult]] = loop.create_future()
        self.waiting: OrderedDict[Item, None] = OrderedDict()
        self.attention_bytes = 0
        self.small_tokens = 0
        self.closed = False
        """Nobody waits any more: answered, failed or withdrawn."""
        self.prepared: Sequence[Prepared] = ()
        self._results: list[ItemResult | None] = []
        self._missing = 0
        self._ran = False

    def expect(self, prepared: Sequence[Prepared]) -> None:
        """Say what there will be results of, before the first is filled in."""
        self.queued = self.began = time.monotonic()
        self.prepared = prepared
        self._results = [None] * len(prepared)
        self._missing = len(prepared)

    def run(self, now: float) -> None:
        """One of its items is in a batch."""
        if not self._ran:
            self._ran, self.began = True, now

    def fill(self, index: int, result: ItemResult) -> bool:
        """Note one item's result; True when it was the last that was missing."""
        self._results[index] = result
        self._missing -= 1
        return self._missing == 0

    def settle(self, outcome: BaseException | None = None) -> None:
        """Answer with the results, or with an error. On the event loop, once; a cancelled wait is left alone."""
        if self.future.done():
            return
        if outcome is None:
            self.future.set_result([result for result in self._results if result is not None])
        else:
            self.future.set_exception(outcome)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a result goes: the `index`th of a request, with its own share of the attention."""

    ticket: Ticket
    index: int
    attention: AttentionPlan | None


@dataclass(slots=True, eq=False)
class Item:
    """One text or image on its way to a batch, for all who wait for the very same."""

    lane: Lane
    prepared: Prepared
    seats: list[Seat]
    enqueued: float = field(default_factory=time.monotonic)

    @property
    def positions(self) -> int:
        """Its cost: the length of the sequence that it is."""
        return self.prepared.positions

    @property
    def data(self) -> Data:
        return self.prepared.data


@dataclass(slots=True, eq=False)
class Batch:
    """What one thread runs. `alone`: nothing else ran or waited when it was taken, nor for a while before."""

    items: list[Item]
    alone: bool

    @property
    def tokens(self) -> int:
        return sum(item.positions for item in self.items)
