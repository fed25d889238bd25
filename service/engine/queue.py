"""The queue between the requests and the threads that run batches. The only place of the engine with a lock.

Bounded in tokens, and in bytes of the attention that is promised. Identical items that wait together wait as one.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.contract import tensors
from models.preprocess.prepared import Prepared
from service.engine.cache import EmbeddingCache
from service.engine.drain import Drain
from service.engine.items import Item, ItemResult, Lane, Seat, Ticket
from service.engine.lengths import BatchLimits
from service.engine.plan import AttentionPlan
from service.engine.sharing import Shares
from service.engine.waiting import Waiting
from service.errors import DeadlineExceeded, HeadlightError, InferenceFailed, NotReady, Overloaded
from service.metrics import Metrics

COMPANY_S = 0.1
"""How long after two requests or batches met none is taken to be alone: many clients that each wait for their answer
leave moments in which nothing waits, and a batch that spreads over the machine then is in the way of the next."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Most `tokens` waiting, and most `attention_bytes` promised to requests that are not answered yet.

    A request larger than that is taken when nothing else waits.
    """

    tokens: int
    attention_bytes: int
    batch: BatchLimits


@dataclass(slots=True, eq=False)
class Batch:
    """What one thread runs. `alone`: nothing else ran or waited when it was taken, nor for a while before."""

    items: list[Item]
    alone: bool
    taken: float = field(default_factory=time.monotonic)

    @property
    def lane(self) -> Lane:
        return self.items[0].lane

    @property
    def tokens(self) -> int:
        return sum(item.positions for item in self.items)


class Queue:
    """Every method may be called from any thread. Tickets are answered on the event loops that they came from."""

    def __init__(self, limits: QueueLimits, metrics: Metrics, cache: EmbeddingCache) -> None:
        self._limits = limits
        self._metrics = metrics
        self._cache = cache
        self._waiting = Waiting()
        self._running: set[Batch] = set()
        self._drain = Drain()
        self._attention_bytes = 0
        self._last_company = -COMPANY_S
        self._closing = False
        self._changed = threading.Condition()

    def check_room(self) -> None:
        """Raises Overloaded when the queue is full as it is, or NotReady: known before an item is prepared."""
        with self._changed:
            self._refuse_if_closing()
            if self._waiting.tokens >= self._limits.tokens:
                raise self._overloaded(1)

    def put(self, ticket: Ticket, model: str, prepared: Sequence[Prepared], attention: AttentionPlan | None) -> None:
        """Queue one request's items. Raises Overloaded or NotReady."""
        lane = Lane(model, (tensors.EMBEDDING,))
        if attention:
            lane = Lane(model, (tensors.EMBEDDING, *attention.outputs), attention.heads)
            ticket.attention_bytes = sum(attention.answer_bytes(item.positions) for item in prepared)
        with self._changed:
            self._refuse_if_closing()
            if ticket.closed:
                return
            self._admit(ticket, prepared)
            ticket.expect(prepared)
            items = [Item(lane, item, [Seat(ticket, i, attention)]) for i, item in enumerate(prepared)]
            if self._cache.max_bytes and not lane.observed:
                items = [item for item in items if not self._remembered(item)]
            if self._busy:
                self._last_company = time.monotonic()
            else:
                self._drain.begin(time.monotonic())
            self._waiting.add(items)
            self._metrics.queue_items.set(self._waiting.items)
            self._changed.notify()

    def take(self) -> Batch | None:
        """Wait for a batch; None when the queue is closing and nothing is left."""
        with self._changed:
            while True:
                self._drop_expired()
                if self._waiting.items:
                    return self._take()
                if self._closing:
                    return None
                self._changed.wait()

    def finish(self, batch: Batch, outcomes: Sequence[Shares]) -> None:
        """Hand out what became of each of the batch's items."""
        with self._changed:
            self._running.discard(batch)
            self._drain.served(batch.tokens, time.monotonic())
            for item, outcome in zip(batch.items, outcomes, strict=True):
                if isinstance(outcome, InferenceFailed):
                    self._fail(item, outcome)
                else:
                    self._hand_out(item, outcome)

    def give_up(self, batch: Batch, error: HeadlightError) -> None:
        """Answer a batch's requests with `error`, whatever becomes of it later."""
        with self._changed:
            self._running.discard(batch)
            for item in batch.items:
                self._fail(item, error)

    def withdraw(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more: what is queued for it alone is not run."""
        with self._changed:
            self._close(ticket)

    def close(self) -> None:
        """Take no more. What waits is still to be taken."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def abandon(self, error: HeadlightError) -> None:
        """Close, and answer everything that waits or runs with `error`."""
        self.close()
        with self._changed:
            for item in [*self._waiting, *(item for batch in self._running for item in batch.items)]:
                self._fail(item, error)

    def _take(self) -> Batch:
        now = time.monotonic()
        items = self._waiting.take(self._limits.batch)
        if self._busy:
            self._last_company = now
        batch = Batch(items, alone=now - self._last_company > COMPANY_S)
        self._running.add(batch)
        self._metrics.queue_items.set(self._waiting.items)
        if self._waiting.items:
            self._changed.notify()  # each put wakes one thread; the rest of a large request is for the others
        return batch

    @property
    def _busy(self) -> bool:
        """Something runs or waits."""
        return bool(self._running) or self._waiting.items > 0

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise NotReady("the server is stopping")

    def _admit(self, ticket: Ticket, prepared: Sequence[Prepared]) -> None:
        tokens = sum(item.positions for item in prepared)
        too_many = self._waiting.tokens and self._waiting.tokens + tokens > self._limits.tokens
        promised = self._attention_bytes
        too_much = promised and promised + ticket.attention_bytes > self._limits.attention_bytes
        if too_many or (ticket.attention_bytes and too_much):
            raise self._overloaded(len(prepared))
        self._attention_bytes += ticket.attention_bytes

    def _overloaded(self, items: int) -> Overloaded:
        self._metrics.shed.labels("overloaded").inc(items)
        return Overloaded("the queue is full", self._drain.retry_after_s(self._waiting.tokens))

    def _remembered(self, item: Item) -> bool:
        """Answer an item from the cache, if it is there."""
        found = self._cache.get((item.lane.model, item.prepared.key))
        self._metrics.cached.labels(item.lane.model, "miss" if found is None else "hit").inc()
        if found is not None:
            self._hand_out(item, [(seat, ItemResult(found, None)) for seat in item.seats])
        return found is not None

    def _drop_expired(self) -> None:
        expired = self._waiting.expired(time.monotonic())
        for ticket in expired:
            self._metrics.shed.labels("deadline").inc(len(ticket.waiting))
            wait_s = self._drain.retry_after_s(self._waiting.tokens)
            self._close(ticket, DeadlineExceeded("the request waited past its deadline", wait_s))

    def _hand_out(self, item: Item, results: Sequence[tuple[Seat, ItemResult]]) -> None:
        if self._cache.max_bytes:
            self._cache.put((item.lane.model, item.prepared.key), results[0][1].embedding)
        for seat, result in results:
            if not seat.ticket.closed and seat.ticket.fill(seat.index, result):
                self._close(seat.ticket)

    def _fail(self, item: Item, error: HeadlightError) -> None:
        for ticket in {seat.ticket for seat in item.seats}:
            self._close(ticket, error)

    def _close(self, ticket: Ticket, error: HeadlightError | None = None) -> None:
        """Answer a request, once; what still waits for it alone is dropped unexecuted."""
        if ticket.closed:
            return
        ticket.closed = True
        self._attention_bytes -= ticket.attention_bytes
        self._waiting.withdraw(ticket)
        self._metrics.queue_items.set(self._waiting.items)
        if not ticket.loop.is_closed():
            ticket.loop.call_soon_threadsafe(ticket.settle, error)
