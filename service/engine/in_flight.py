"""Batches in flight, and whether one of them may use the whole machine."""

import math
from collections.abc import Iterator

from service.engine.items import Batch

CONTENTION_WINDOW_S = 0.1
"""How long after two requests or batches met none is taken to be alone: many clients that each wait for their answer
leave moments in which nothing waits, and a batch that spreads over the machine then is in the way of the next."""


class InFlightBatches:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self) -> None:
        self._batches: set[Batch] = set()
        self._last_contention = -math.inf

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    @property
    def tokens(self) -> int:
        return sum(batch.tokens for batch in self._batches)

    def mark_contended(self, now: float) -> None:
        """When a request came, or a batch was taken, something else ran or waited."""
        self._last_contention = now

    def is_uncontended(self, now: float) -> bool:
        """No batch runs, and for a while none had company."""
        return not self._batches and now - self._last_contention > CONTENTION_WINDOW_S

    def begin(self, batch: Batch) -> None:
        self._batches.add(batch)

    def end(self, batch: Batch) -> None:
        """Remove a batch that has ended or was given up."""
        self._batches.discard(batch)
