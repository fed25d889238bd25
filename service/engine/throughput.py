"""Estimate of the time to empty the queue, from recent throughput, for `Retry-After`."""

from math import ceil

DECAY_AFTER_S = 10.0
"""Busy time after which the tokens and seconds counted so far are halved."""

MAX_RETRY_AFTER_S = 60
"""Maximum `Retry-After`: until then the load will have changed."""


class ThroughputEstimator:
    """Throughput in tokens per second of busy time. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._busy_since = 0.0

    def mark_busy(self, now: float) -> None:
        """Record the start of work after idle time, which does not count."""
        self._busy_since = now

    def record(self, tokens: int, now: float) -> None:
        """Record a finished batch of `tokens`; other batches may still run."""
        self._tokens += tokens
        self._seconds += now - self._busy_since
        self._busy_since = now
        if self._seconds > DECAY_AFTER_S:
            self._tokens /= 2
            self._seconds /= 2

    def retry_after_s(self, tokens: int) -> int:
        """Return the estimated time to process `tokens`, in whole seconds from 1 to `MAX_RETRY_AFTER_S`."""
        expected = tokens * self._seconds / self._tokens if self._tokens else 0.0
        return min(MAX_RETRY_AFTER_S, max(1, ceil(expected)))
