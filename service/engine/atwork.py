"""The batches that run, and whether one of them may have the whole machine."""

import math
from collections.abc import Iterator

from service.engine.items import Batch

COMPANY_S = 0.1
"""How long after two requests or batches met none is taken to be alone: many clients that each wait for their answer
leave moments in which nothing waits, and a batch that spreads over the machine then is in the way of the next."""


class AtWork:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self) -> None:
        self._batches: set[Batch] = set()
        self._last_met = -math.inf

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    @property
    def tokens(self) -> int:
        return sum(batch.tokens for batch in self._batches)

    def met(self, now: float) -> None:
        """Something else ran or waited, at that moment, when a request came or a batch was taken."""
        self._last_met = now

    def nothing_met(self, now: float) -> bool:
        """Nothing runs, nor met for a while."""
        return not self._batches and now - self._last_met > COMPANY_S

    def begin(self, batch: Batch) -> None:
        self._batches.add(batch)

    def end(self, batch: Batch) -> None:
        """It has ended, or was given up."""
        self._batches.discard(batch)
