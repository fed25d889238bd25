"""Every waiting item and request, and which of them the next batch starts with.

In turn it is the oldest request's, so that nothing starves, and that of the request that got least: one that has not
begun, else the one whose last turn was longest ago. So a request of thousands of items does not hold up one of one.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count

from service.engine.items import Item, Lane, Ticket
from service.engine.lengths import BatchLimits, ByLength

Key = tuple[Lane, bytes]

MOST_FORGOTTEN = 1_000
"""Deadlines of requests that are long answered, and as many as there are that count, before they are swept out."""


class Waiting:
    """Not thread-safe: the queue holds its lock around each call. What a call costs depends on what it moves, not on
    how much waits."""

    def __init__(self) -> None:
        self.tokens = 0
        self.items = 0
        self._lanes: dict[Lane, ByLength] = {}
        self._same: dict[Key, Item] = {}
        self._by_age: OrderedDict[Ticket, None] = OrderedDict()
        self._fresh: OrderedDict[Ticket, None] = OrderedDict()
        self._turns: OrderedDict[Ticket, None] = OrderedDict()
        self._deadlines: list[tuple[float, int]] = []
        self._arrivals = count()
        self._expiring: dict[int, Ticket] = {}
        self._arrival: dict[Ticket, int] = {}
        self._oldest_next = True

    def __iter__(self) -> Iterator[Item]:
        return chain.from_iterable(self._lanes.values())

    def add(self, items: Iterable[Item]) -> None:
        """Queue one request's items. An item that waits already gains a seat instead of waiting twice."""
        for item in items:
            (ticket,) = {seat.ticket for seat in item.seats}
            if not ticket.waiting:
                self._enter(ticket)
            same = self._same.setdefault((item.lane, item.prepared.key), item)
            if same is item:
                self._lanes.setdefault(item.lane, ByLength()).add(item)
                self._count(item, 1)
            else:
                same.seats += item.seats
            ticket.waiting[same] = None

    def take(
        self, limits: Mapping[str, BatchLimits], most_tokens: float = math.inf, shared_tokens: float = 0
    ) -> list[Item]:
        """Remove and return the next batch, within its model's limits and so many tokens: one item at least. There must
        be one waiting.

        With items of which only the embedding is asked, and of which attention is too, it is filled up to
        `shared_tokens`.
        """
        first = next(iter(self._next().waiting))
        batch, bounds = [first], limits[first.lane.model].within(most_tokens)
        self._lanes[first.lane].grow(batch, bounds)
        if beside := self._beside(first.lane):
            beside.grow(batch, bounds.within(shared_tokens))
        for item in batch:
            self._remove(item)
            for ticket in {seat.ticket for seat in item.seats}:
                del ticket.waiting[item]
                self._serve(ticket)
        return batch

    def withdraw(self, ticket: Ticket) -> None:
        """Forget what only this request waits for."""
        for item in ticket.waiting:
            item.seats = [seat for seat in item.seats if seat.ticket is not ticket]
            if not item.seats:
                self._remove(item)
        ticket.waiting.clear()
        self._leave(ticket)

    def next_deadline(self) -> float:
        """The soonest of the requests that have not begun."""
        while self._deadlines and self._deadlines[0][1] not in self._expiring:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def expired(self, now: float) -> list[Ticket]:
        """The requests that waited past their deadline and have not begun."""
        found = []
        while self._deadlines and self._deadlines[0][0] <= now:
            ticket = self._expiring.get(heapq.heappop(self._deadlines)[1])
            if ticket:
                found.append(ticket)
        return found

    def _beside(self, lane: Lane) -> ByLength | None:
        """What can share a batch with that lane, if any waits."""
        return next((items for other, items in self._lanes.items() if lane.shares_with(other)), None)

    def _next(self) -> Ticket:
        """The request whose turn it is, by turns of two rules."""
        self._oldest_next = not self._oldest_next
        if not self._oldest_next:
            return next(iter(self._by_age))
        return next(iter(self._fresh or self._turns))

    def _enter(self, ticket: Ticket) -> None:
        self._by_age[ticket] = None
        self._fresh[ticket] = None
        # The heap holds numbers: what has been answered long ago must not be kept until its deadline.
        arrival = self._arrival[ticket] = next(self._arrivals)
        self._expiring[arrival] = ticket
        heapq.heappush(self._deadlines, (ticket.deadline, arrival))

    def _serve(self, ticket: Ticket) -> None:
        self._forget_deadline(ticket)
        if not ticket.waiting:
            self._leave(ticket)
            return
        self._fresh.pop(ticket, None)
        self._turns[ticket] = None
        self._turns.move_to_end(ticket)

    def _forget_deadline(self, ticket: Ticket) -> None:
        """It has begun, or left."""
        self._expiring.pop(self._arrival.pop(ticket, -1), None)
        if len(self._deadlines) > MOST_FORGOTTEN + 2 * len(self._expiring):
            self._deadlines = [(waits.deadline, arrival) for arrival, waits in self._expiring.items()]
            heapq.heapify(self._deadlines)

    def _leave(self, ticket: Ticket) -> None:
        self._forget_deadline(ticket)
        for order in (self._by_age, self._fresh, self._turns):
            order.pop(ticket, None)

    def _remove(self, item: Item) -> None:
        lane = self._lanes[item.lane]
        lane.remove(item)
        if not lane:
            del self._lanes[item.lane]
        del self._same[item.lane, item.prepared.key]
        self._count(item, -1)

    def _count(self, item: Item, sign: int) -> None:
        self.tokens += sign * item.positions
        self.items += sign
