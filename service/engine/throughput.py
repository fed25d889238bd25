"""How long the queue takes to empty, from how fast it did lately: what Retry-After says."""

from math import ceil

DECAY_AFTER_S = 10.0
"""Past so much busy time the older half counts half."""

MAX_RETRY_AFTER_S = 60
"""What a client is told at most: a server that is that far behind has other news by then."""


class ThroughputEstimator:
    """Tokens a second while busy. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._busy_since = 0.0

    def mark_busy(self, now: float) -> None:
        """Work starts after idleness, which is no measure of speed."""
        self._busy_since = now

    def record(self, tokens: int, now: float) -> None:
        """A batch is done; others may still run beside it."""
        self._tokens += tokens
        self._seconds += now - self._busy_since
        self._busy_since = now
        if self._seconds > DECAY_AFTER_S:
            self._tokens /= 2
            self._seconds /= 2

    def retry_after_s(self, tokens: int) -> int:
        """Whole seconds until so many tokens are served, at least 1."""
        expected = tokens * self._seconds / self._tokens if self._tokens else 0.0
        return min(MAX_RETRY_AFTER_S, max(1, ceil(expected)))
