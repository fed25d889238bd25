"""What becomes of requests: results, errors, and deadlines that pass. Each is answered once."""

import time
from collections.abc import Sequence
from contextlib import suppress

from service.engine.admission import Admission
from service.engine.cache import EmbeddingCache
from service.engine.items import Item, ItemResult, Seat, Ticket
from service.engine.waiting import Waiting
from service.errors import DeadlineExceeded, HeadlightError
from service.metrics import Metrics


class Outcomes:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self, waiting: Waiting, admission: Admission, cache: EmbeddingCache, metrics: Metrics) -> None:
        self._waiting = waiting
        self._admission = admission
        self._cache = cache
        self._metrics = metrics

    def remembered(self, item: Item) -> bool:
        """Answer an item from the cache, if it is there."""
        if not self._cache.max_bytes:
            return False
        found = self._cache.get((item.lane.model, item.prepared.key))
        meters = self._metrics.of(item.lane.model)
        (meters.cache_misses if found is None else meters.cache_hits).inc()
        if found is not None:
            self.hand_out(item, [(seat, ItemResult(found, None)) for seat in item.seats])
        return found is not None

    def expire(self, owed: int) -> None:
        """Answer the requests whose deadline has passed; `owed` tokens wait or run."""
        for ticket in self._waiting.expired(time.monotonic()):
            self._metrics.shed.labels("deadline").inc(len(ticket.waiting))
            self._waiting.withdraw(ticket)
            wait_s = self._admission.drain.retry_after_s(owed)
            self.close(ticket, DeadlineExceeded("the request waited past its deadline", wait_s))

    def hand_out(self, item: Item, results: Sequence[tuple[Seat, ItemResult]]) -> None:
        """Give each who waits for the item a result; who has all of theirs is answered."""
        if self._cache.max_bytes:
            self._cache.put((item.lane.model, item.prepared.key), results[0][1].embedding)
        for seat, result in results:
            if not seat.ticket.closed and seat.ticket.fill(seat.index, result):
                self.close(seat.ticket)

    def fail(self, item: Item, error: HeadlightError) -> None:
        """Answer all who wait for the item with `error`."""
        for ticket in {seat.ticket for seat in item.seats}:
            self.close(ticket, error)

    def close(self, ticket: Ticket, error: HeadlightError | None = None) -> None:
        """Answer a request, once; what still waits for it alone is dropped unexecuted."""
        if ticket.closed:
            return
        ticket.closed = True
        ticket.ended = time.monotonic()
        self._admission.answered(ticket)
        if error:
            self._admission.sent(ticket)
        self._waiting.withdraw(ticket)
        self._metrics.queue_items.set(self._waiting.items)
        with suppress(RuntimeError):  # the event loop is closed: nobody is there to be told
            ticket.loop.call_soon_threadsafe(ticket.settle, error)
