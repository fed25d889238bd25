"""What becomes of requests: results, errors, and deadlines that pass. Each is answered once.

Their event loops are told of a batch's together: told of the first, a loop would take the interpreter from the thread
that is still handing out the others.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from service.engine.admission import Admission
from service.engine.cache import EmbeddingCache
from service.engine.items import Item, ItemResult, Seat, Ticket
from service.engine.sharing import Shares
from service.engine.waiting import Waiting
from service.errors import DeadlineExceeded, HeadlightError, InferenceFailed
from service.metrics import Metrics

Answer = tuple[Ticket, HeadlightError | None]
"""None: with its results."""


class Outcomes:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self, waiting: Waiting, admission: Admission, cache: EmbeddingCache, metrics: Metrics) -> None:
        self._waiting = waiting
        self._admission = admission
        self._cache = cache
        self._metrics = metrics
        self._untold: list[Answer] = []

    def remembered(self, items: Sequence[Item]) -> Sequence[Item]:
        """Answer items from the cache, and return those that are not there."""
        if not self._cache.max_bytes:
            return items
        unknown = [item for item in items if not self._remembered(item)]
        self.tell()
        return unknown

    def expire(self, owed: int) -> None:
        """Answer the requests whose deadline has passed; `owed` tokens wait or run."""
        for ticket in self._waiting.expired(time.monotonic()):
            self._metrics.shed.labels("deadline").inc(len(ticket.waiting))
            self._waiting.withdraw(ticket)
            wait_s = self._admission.drain.retry_after_s(owed)
            self._answer(ticket, DeadlineExceeded("the request waited past its deadline", wait_s))
        self.tell()

    def hand_out(self, items: Sequence[Item], outcomes: Sequence[Shares]) -> int:
        """Give each who waits for one of the items a result, or its failure; who has all of theirs is answered, but not
        told. Returns how many were."""
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, InferenceFailed):
                self._fail(item, outcome)
            else:
                self._fill(item, outcome)
        return len(self._untold)

    def fail(self, items: Iterable[Item], error: HeadlightError) -> None:
        """Answer all who wait for the items with `error`."""
        for item in items:
            self._fail(item, error)
        self.tell()

    def withdraw(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more; what waits for it alone is dropped unexecuted."""
        if not ticket.closed:
            self._close(ticket)
        self._admission.sent(ticket)

    def tell(self) -> None:
        """Wake each event loop once for all of its requests that were answered."""
        untold, self._untold = self._untold, []
        for loop in {ticket.loop for ticket, _ in untold}:
            with suppress(RuntimeError):  # the event loop is closed: nobody is there to be told
                loop.call_soon_threadsafe(_settle, [answer for answer in untold if answer[0].loop is loop])

    def _remembered(self, item: Item) -> bool:
        found = self._cache.get((item.lane.model, item.prepared.key))
        meters = self._metrics.of(item.lane.model)
        (meters.cache_misses if found is None else meters.cache_hits).inc()
        if found is not None:
            self._fill(item, [(seat, ItemResult(found, None)) for seat in item.seats])
        return found is not None

    def _fill(self, item: Item, results: Sequence[tuple[Seat, ItemResult]]) -> None:
        if self._cache.max_bytes:
            self._cache.put((item.lane.model, item.prepared.key), results[0][1].embedding)
        for seat, result in results:
            if not seat.ticket.closed and seat.ticket.fill(seat.index, result):
                self._answer(seat.ticket)

    def _fail(self, item: Item, error: HeadlightError) -> None:
        for ticket in {seat.ticket for seat in item.seats}:
            self._answer(ticket, error)

    def _answer(self, ticket: Ticket, error: HeadlightError | None = None) -> None:
        """Once; what still waits for it alone is dropped unexecuted."""
        if ticket.closed:
            return
        self._close(ticket)
        if error:
            self._admission.sent(ticket)
        self._untold.append((ticket, error))

    def _close(self, ticket: Ticket) -> None:
        ticket.closed = True
        ticket.ended = time.monotonic()
        self._admission.answered(ticket)
        self._waiting.withdraw(ticket)


def _settle(answers: Sequence[Answer]) -> None:
    for ticket, error in answers:
        ticket.settle(error)
