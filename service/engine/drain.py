"""How long the queue takes to empty, from how fast it did lately: what Retry-After says."""

from math import ceil

MEMORY_S = 10.0
"""Past so much busy time the older half counts half."""

LONGEST_S = 60
"""What a client is told at most: a server that is that far behind has other news by then."""


class Drain:
    """Tokens a second while busy. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0
        self._since = 0.0

    def begin(self, now: float) -> None:
        """Work starts after idleness, which is no measure of speed."""
        self._since = now

    def served(self, tokens: int, now: float) -> None:
        """A batch is done; others may still run beside it."""
        self._tokens += tokens
        self._seconds += now - self._since
        self._since = now
        if self._seconds > MEMORY_S:
            self._tokens /= 2
            self._seconds /= 2

    def retry_after_s(self, tokens: int) -> int:
        """Whole seconds until so many tokens are served, at least 1."""
        expected = tokens * self._seconds / self._tokens if self._tokens else 0.0
        return min(LONGEST_S, max(1, ceil(expected)))
