"""The queue between the requests and the threads that run batches, under one lock.

Identical items that wait together wait as one.
"""

import math
import threading
import time
from collections.abc import Mapping, Sequence

from models.preprocess.prepared import Prepared
from service.engine.admission import Admission, QueueLimits
from service.engine.atwork import AtWork
from service.engine.cache import EmbeddingCache
from service.engine.deadlines import DeadlineWatch
from service.engine.gathering import Gathering
from service.engine.items import Batch, Item, Lane, Seat, Ticket
from service.engine.lengths import BatchLimits
from service.engine.outcomes import Outcomes
from service.engine.plan import AttentionPlan, VectorPlan
from service.engine.sharing import Shares
from service.engine.waiting import Waiting
from service.errors import HeadlightError, NotReady, Overloaded
from service.metrics import Metrics


class Queue:
    """Every method may be called from any thread. Tickets are answered on the event loops that they came from."""

    def __init__(
        self,
        limits: QueueLimits,
        batches: Mapping[str, BatchLimits],
        metrics: Metrics,
        cache: EmbeddingCache,
        gathering: Gathering,
    ) -> None:
        """`batches`: how large a batch of each model may be; `gathering`: whether a small one waits to grow."""
        self._batches = batches
        self._metrics = metrics
        self._waiting = Waiting()
        self._admission = Admission(limits)
        self._outcomes = Outcomes(self._waiting, self._admission, cache, metrics)
        self._gathering = gathering
        self._one_gathers = False
        self._at_work = AtWork()
        self._closing = False
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._deadlines = DeadlineWatch(self._waiting, lock)
        metrics.queue_items.set_function(lambda: self._waiting.items)

    @property
    def open(self) -> bool:
        """Requests are taken."""
        return not self._closing

    def check_room(self, items: int, tokens: int) -> None:
        """Raises Overloaded when there is no room for `tokens`, or NotReady: known before the `items` are prepared."""
        with self._changed:
            self._refuse_if_closing()
            if not self._admission.has_room(tokens, waiting=self._waiting.tokens):
                self._metrics.shed.labels("overloaded").inc(items)
                raise self._admission.overloaded(self._owed)

    def put(
        self,
        ticket: Ticket,
        model: str,
        prepared: Sequence[Prepared],
        attention: AttentionPlan | None = None,
        vectors: VectorPlan | None = None,
    ) -> None:
        """Queue one request's items. Raises Overloaded or NotReady."""
        lane = Lane.of(model, attention, vectors)
        plans = [plan for plan in (attention, vectors) if plan]
        promised = sum(plan.answer_bytes(item.positions) for plan in plans for item in prepared)
        items = [Item(lane, item, [Seat(ticket, i, attention)]) for i, item in enumerate(prepared)]
        tokens = sum(item.positions for item in items)
        with self._changed:
            self._refuse_if_closing()
            if ticket.closed:
                return
            try:
                self._admission.admit(ticket, tokens, promised, waiting=self._waiting.tokens, owed=self._owed)
            except Overloaded:
                self._metrics.shed.labels("overloaded").inc(len(items))
                raise
            ticket.expect(prepared)
            unknown = self._outcomes.remembered(items) if lane.plain else items
            now = time.monotonic()
            if self._busy:
                self._at_work.had_company(now)
            else:
                self._admission.drain.begin(now)
            if not unknown:
                return
            self._waiting.add(unknown)
            self._gathering.came(now)
            if not self._one_gathers or self._gathers_until <= now:
                self._changed.notify()
            self._deadlines.came(ticket.deadline)

    def take(self) -> Batch | None:
        """Wait for a batch; None when the queue is closing and nothing is left."""
        with self._changed:
            while True:
                self._outcomes.expire(self._owed)
                if self._waiting.items:
                    if (left_s := self._gathers_until - time.monotonic()) <= 0:
                        return self._take()
                    self._gather(left_s)
                elif self._closing:
                    return None
                else:
                    self._changed.wait()

    def finish(self, batch: Batch, outcomes: Sequence[Shares]) -> None:
        """Hand out what became of each of the batch's items."""
        with self._changed:
            now = time.monotonic()
            self._admission.drain.served(batch.tokens, now)
            self._gathering.handed_out(self._outcomes.hand_out(batch.items, outcomes), now)
            self._at_work.end(batch)  # only now: what a fault leaves unanswered is still to be found
            self._outcomes.tell()  # last: who is told takes the interpreter, and soon wants the lock

    def give_up(self, batch: Batch, error: HeadlightError) -> None:
        """Answer a batch's requests with `error`, whatever becomes of it later."""
        with self._changed:
            self._at_work.end(batch)
            self._outcomes.fail(batch.items, error)

    def withdraw(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more: what is queued for it alone is not run."""
        with self._changed:
            self._outcomes.withdraw(ticket)

    def sent(self, ticket: Ticket) -> None:
        """The answer has been handed over: the attention in it is held no more."""
        self._gathering.sent(time.monotonic())
        if ticket.attention_bytes:
            with self._changed:
                self._admission.sent(ticket)

    def expire(self, within_s: float, ended: threading.Event) -> None:
        """Wait for the next deadline, or so long, and answer the requests whose deadline has passed then: for when no
        thread is free to notice. What sets `ended` must `wake` who waits.
        """
        with self._changed:
            self._deadlines.wait_for_next(within_s, ended)
            self._outcomes.expire(self._owed)

    def wake(self) -> None:
        """End a wait for deadlines."""
        with self._changed:
            self._deadlines.wake()

    def close(self) -> None:
        """Take no more. What waits is still to be taken."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def abandon(self, error: HeadlightError) -> None:
        """Close, and answer everything that waits or runs with `error`."""
        self.close()
        with self._changed:
            self._outcomes.fail([*self._waiting, *(item for batch in self._at_work for item in batch.items)], error)

    def _take(self) -> Batch:
        now = time.monotonic()
        alone = self._at_work.would_be_alone(now)
        most = math.inf if alone else self._gathering.most(self._waiting.tokens, len(self._at_work))
        items = self._waiting.take(self._batches, most, self._gathering.enough)
        if self._busy:
            self._at_work.had_company(now)
            alone = False
        batch = Batch(items, alone=alone)
        for item in items:
            for seat in item.seats:
                seat.ticket.run(now)
        self._at_work.begin(batch)
        if self._waiting.items:
            self._changed.notify()  # each put wakes one thread; the rest of a large request is for the others
        return batch

    def _gather(self, seconds: float) -> None:
        """Wait for more to come, or for so long."""
        self._one_gathers = True  # and no second: all the others are at work
        try:
            self._changed.wait(seconds)
        finally:
            self._one_gathers = False

    @property
    def _gathers_until(self) -> float:
        """Nothing waits past a deadline."""
        until = self._gathering.until(self._waiting.tokens, len(self._at_work))
        return -math.inf if self._closing or until >= self._waiting.next_deadline() else until

    @property
    def _busy(self) -> bool:
        """Something runs or waits."""
        return len(self._at_work) > 0 or self._waiting.items > 0

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise NotReady("the server is stopping")

    @property
    def _owed(self) -> int:
        """Tokens that wait or run."""
        return self._waiting.tokens + self._at_work.tokens
