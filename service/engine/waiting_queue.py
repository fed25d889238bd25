"""Waiting queue: items and requests, and which of them the next batch starts with.

In turn it is the oldest request's, so that nothing starves, and that of the request that got least: one that has not
begun, else the one whose last turn was longest ago. So a request of thousands of items does not hold up one of one.
"""

import heapq
import math
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count

from service.engine.items import BatchKey, EngineRequest, QueueItem


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Most `tokens` in a batch, and in one whose attention is observed most `attention_elements` of it: items times
    length squared.

    An image counts as the tokens that its positions are. A single item is a batch whatever its size: what it may take
    was bounded when it was asked for (`service.pipeline.infer`).
    """

    tokens: int
    attention_elements: int

    def capped(self, max_tokens: float) -> "BatchLimits":
        """Return these limits with at most `max_tokens` tokens."""
        return self if max_tokens >= self.tokens else BatchLimits(int(max_tokens), self.attention_elements)

    def fits(self, items: int, tokens: int, longest: int, *, needs_attention: bool) -> bool:
        """Around attention a batch is `items` times `longest`: no more than half of that may be padding."""
        if needs_attention and items * longest**2 > self.attention_elements:
            return False
        return tokens <= self.tokens and items * longest <= 2 * tokens


class LengthIndex:
    """Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._lengths: list[int] = []
        self._items: dict[int, OrderedDict[QueueItem, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def __iter__(self) -> Iterator[QueueItem]:
        return chain.from_iterable(self._items.values())

    def add(self, item: QueueItem) -> None:
        if item.positions not in self._items:
            insort(self._lengths, item.positions)
            self._items[item.positions] = OrderedDict()
        self._items[item.positions][item] = None

    def remove(self, item: QueueItem) -> None:
        items = self._items[item.positions]
        del items[item]
        if not items:
            del self._items[item.positions]
            del self._lengths[bisect_left(self._lengths, item.positions)]

    def fill_batch(self, batch: list[QueueItem], limits: BatchLimits) -> None:
        """Add those nearest to the batch's first in length, the older first, as many as the limits hold. Removes
        none."""
        first, lengths = batch[0], [item.positions for item in batch]
        tokens, longest = sum(lengths), max(lengths)
        for item in self._nearest_first(first):
            new_totals = tokens + item.positions, max(longest, item.positions)
            if not limits.fits(
                len(batch) + 1,
                *new_totals,
                needs_attention=first.batch_key.needs_attention or item.batch_key.needs_attention,
            ):
                break
            batch.append(item)
            tokens, longest = new_totals

    def _nearest_first(self, first: QueueItem) -> Iterator[QueueItem]:
        start = bisect_left(self._lengths, first.positions)
        shorter = (self._lengths[i] for i in range(start - 1, -1, -1))
        longer = (self._lengths[i] for i in range(start, len(self._lengths)))
        for length in heapq.merge(shorter, longer, key=lambda length: abs(length - first.positions)):
            yield from (item for item in self._items[length] if item is not first)


DedupKey = tuple[BatchKey, bytes]

MAX_STALE_DEADLINES = 1_000
"""Stale deadlines, beyond the number of live ones, that trigger their removal."""


class WaitingQueue:
    """Not thread-safe: the queue holds its lock around each call. What a call costs depends on what it moves, not on
    how much waits."""

    def __init__(self) -> None:
        self.tokens = 0
        self.items = 0
        self._by_batch_key: dict[BatchKey, LengthIndex] = {}
        self._unique_items: dict[DedupKey, QueueItem] = {}
        self._fifo: OrderedDict[EngineRequest, None] = OrderedDict()
        self._unstarted: OrderedDict[EngineRequest, None] = OrderedDict()
        self._round_robin: OrderedDict[EngineRequest, None] = OrderedDict()
        self._deadlines: list[tuple[float, int]] = []
        self._sequence = count()
        self._live_deadlines: dict[int, EngineRequest] = {}
        self._sequence_numbers: dict[EngineRequest, int] = {}
        self._fifo_next = True

    def __iter__(self) -> Iterator[QueueItem]:
        return chain.from_iterable(self._by_batch_key.values())

    def add(self, items: Iterable[QueueItem]) -> None:
        """Queue one request's items. Deduplication: an item equal to a queued one adds its waiters to that one."""
        for item in items:
            (request,) = {waiter.request for waiter in item.waiters}
            if not request.waiting_items:
                self._enqueue(request)
            queued_item = self._unique_items.setdefault((item.batch_key, item.prepared.key), item)
            if queued_item is item:
                self._by_batch_key.setdefault(item.batch_key, LengthIndex()).add(item)
                self._add_to_totals(item, 1)
            else:
                queued_item.waiters += item.waiters
            request.waiting_items[queued_item] = None

    def take_batch(
        self, limits: Mapping[str, BatchLimits], max_tokens: float = math.inf, mixed_tokens: float = 0
    ) -> list[QueueItem]:
        """Remove and return the next batch, within its model's limits and `max_tokens`; at least one item.

        The queue must not be empty.

        With items of which only the embedding is asked, and of which attention is too, it is filled up to
        `mixed_tokens`.
        """
        first = next(iter(self._next_request().waiting_items))
        batch, capped_limits = [first], limits[first.batch_key.model].capped(max_tokens)
        self._by_batch_key[first.batch_key].fill_batch(batch, capped_limits)
        if compatible := self._compatible_group(first.batch_key):
            compatible.fill_batch(batch, capped_limits.capped(mixed_tokens))
        for item in batch:
            self._remove(item)
            for request in {waiter.request for waiter in item.waiters}:
                del request.waiting_items[item]
                self._served(request)
        return batch

    def cancel(self, request: EngineRequest) -> None:
        """Drop the queued items that only this request waits for."""
        for item in request.waiting_items:
            item.waiters = [waiter for waiter in item.waiters if waiter.request is not request]
            if not item.waiters:
                self._remove(item)
        request.waiting_items.clear()
        self._dequeue(request)

    def next_deadline(self) -> float:
        """Return the earliest deadline of the requests that have not started."""
        while self._deadlines and self._deadlines[0][1] not in self._live_deadlines:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def expired(self, now: float) -> list[EngineRequest]:
        """Return the requests past their deadline that have not started."""
        overdue = []
        while self._deadlines and self._deadlines[0][0] <= now:
            request = self._live_deadlines.get(heapq.heappop(self._deadlines)[1])
            if request:
                overdue.append(request)
        return overdue

    def _compatible_group(self, key: BatchKey) -> LengthIndex | None:
        """Return the waiting items that can share a batch with that key, if any."""
        return next((items for other, items in self._by_batch_key.items() if key.compatible_with(other)), None)

    def _next_request(self) -> EngineRequest:
        """Return the request whose turn it is, alternating between two rules."""
        self._fifo_next = not self._fifo_next
        if not self._fifo_next:
            return next(iter(self._fifo))
        return next(iter(self._unstarted or self._round_robin))

    def _enqueue(self, request: EngineRequest) -> None:
        self._fifo[request] = None
        self._unstarted[request] = None
        # The heap holds numbers, so that completed requests are not kept alive until their deadline.
        number = self._sequence_numbers[request] = next(self._sequence)
        self._live_deadlines[number] = request
        heapq.heappush(self._deadlines, (request.deadline, number))

    def _served(self, request: EngineRequest) -> None:
        self._drop_deadline(request)
        if not request.waiting_items:
            self._dequeue(request)
            return
        self._unstarted.pop(request, None)
        self._round_robin[request] = None
        self._round_robin.move_to_end(request)

    def _drop_deadline(self, request: EngineRequest) -> None:
        """Remove the deadline of a request that has started or was cancelled."""
        self._live_deadlines.pop(self._sequence_numbers.pop(request, -1), None)
        if len(self._deadlines) > MAX_STALE_DEADLINES + 2 * len(self._live_deadlines):
            self._deadlines = [(live.deadline, arrival) for arrival, live in self._live_deadlines.items()]
            heapq.heapify(self._deadlines)

    def _dequeue(self, request: EngineRequest) -> None:
        self._drop_deadline(request)
        for order in (self._fifo, self._unstarted, self._round_robin):
            order.pop(request, None)

    def _remove(self, item: QueueItem) -> None:
        group = self._by_batch_key[item.batch_key]
        group.remove(item)
        if not group:
            del self._by_batch_key[item.batch_key]
        del self._unique_items[item.batch_key, item.prepared.key]
        self._add_to_totals(item, -1)

    def _add_to_totals(self, item: QueueItem, sign: int) -> None:
        self.tokens += sign * item.positions
        self.items += sign
