"""The queue between the requests and the threads that run batches, under one lock.

Identical items that wait together wait as one.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from models.contract import tensors
from models.preprocess.prepared import Prepared
from service.engine.admission import Admission, QueueLimits
from service.engine.cache import EmbeddingCache
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


@dataclass(slots=True, eq=False)
class Batch:
    """What one thread runs. `alone`: nothing else ran or waited when it was taken, nor for a while before."""

    items: list[Item]
    alone: bool

    @property
    def tokens(self) -> int:
        return sum(item.positions for item in self.items)


class Queue:
    """Every method may be called from any thread. Tickets are answered on the event loops that they came from."""

    def __init__(
        self,
        limits: QueueLimits,
        batches: Mapping[str, BatchLimits],
        metrics: Metrics,
        cache: EmbeddingCache,
    ) -> None:
        """`batches`: how large a batch of each model may be."""
        self._batches = batches
        self._metrics = metrics
        self._cache = cache
        self._waiting = Waiting()
        self._admission = Admission(limits)
        self._running: set[Batch] = set()
        self._last_company = -math.inf
        self._closing = False
        self._changed = threading.Condition()

    @property
    def open(self) -> bool:
        """Requests are taken."""
        return not self._closing

    def check_room(self, items: int) -> None:
        """Raises Overloaded when the queue is full as it is, or NotReady: known before `items` are prepared."""
        with self._changed:
            self._refuse_if_closing()
            if self._admission.full(self._waiting.tokens):
                self._metrics.shed.labels("overloaded").inc(items)
                raise self._admission.overloaded(self._owed)

    def put(self, ticket: Ticket, model: str, prepared: Sequence[Prepared], attention: AttentionPlan | None) -> None:
        """Queue one request's items. Raises Overloaded or NotReady."""
        lane = Lane(model, (tensors.EMBEDDING,))
        promised = 0
        if attention:
            lane = Lane(model, (tensors.EMBEDDING, *attention.outputs), attention.heads)
            promised = sum(attention.answer_bytes(item.positions) for item in prepared)
        items = [Item(lane, item, [Seat(ticket, i, attention)]) for i, item in enumerate(prepared)]
        tokens = sum(item.positions for item in items)
        with self._changed:
            self._refuse_if_closing()
            if ticket.closed:
                return
            try:
                self._admission.admit(ticket, tokens, promised, waiting=self._waiting.tokens)
            except Overloaded:
                self._metrics.shed.labels("overloaded").inc(len(items))
                raise
            ticket.expect(prepared)
            if self._cache.max_bytes and not lane.observed:
                items = [item for item in items if not self._remembered(item)]
            if self._busy:
                self._last_company = time.monotonic()
            else:
                self._admission.drain.begin(time.monotonic())
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
            self._admission.drain.served(batch.tokens, time.monotonic())
            for item, outcome in zip(batch.items, outcomes, strict=True):
                if isinstance(outcome, InferenceFailed):
                    self._fail(item, outcome)
                else:
                    self._hand_out(item, outcome)
            self._running.discard(batch)  # last: what a fault leaves unanswered is still to be found

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

    def drop_expired(self) -> None:
        """Answer the requests whose deadline has passed, for when no thread is free to notice."""
        with self._changed:
            self._drop_expired()

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
        items = self._waiting.take(self._batches)
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

    @property
    def _owed(self) -> int:
        """Tokens that wait or run."""
        return self._waiting.tokens + sum(batch.tokens for batch in self._running)

    def _remembered(self, item: Item) -> bool:
        """Answer an item from the cache, if it is there."""
        found = self._cache.get((item.lane.model, item.prepared.key))
        meters = self._metrics.of(item.lane.model)
        (meters.cache_misses if found is None else meters.cache_hits).inc()
        if found is not None:
            self._hand_out(item, [(seat, ItemResult(found, None)) for seat in item.seats])
        return found is not None

    def _drop_expired(self) -> None:
        for ticket in self._waiting.expired(time.monotonic()):
            self._metrics.shed.labels("deadline").inc(len(ticket.waiting))
            self._waiting.withdraw(ticket)
            wait_s = self._admission.drain.retry_after_s(self._owed)
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
        self._admission.release(ticket)
        self._waiting.withdraw(ticket)
        self._metrics.queue_items.set(self._waiting.items)
        with suppress(RuntimeError):  # the event loop is closed: nobody is there to be told
            ticket.loop.call_soon_threadsafe(ticket.settle, error)
