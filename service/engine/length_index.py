"""Index of one lane's waiting items by length, so that a batch of similar lengths is found without a scan.

Adding, removing and each step to a neighbor cost the same however many wait.
"""

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from service.engine.items import QueueItem


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Most `tokens` in a batch, and in one whose attention is observed most `attention_elements` of it: items times
    length squared.

    A picture counts as the tokens that its positions are. A single item is a batch whatever its size: what it may take
    was bounded when it was asked for (`service.pipeline.attention_limits`).
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
