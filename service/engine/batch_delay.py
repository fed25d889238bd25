"""Dynamic batching: how long a small batch is delayed, and how many queued tokens a free thread takes.

Clients that wait for their responses send the next request one by one after a batch is done, and the first of these
requests would be the whole next batch. So a small batch is delayed for at most 10 ms while (a) the other threads are
busy, (b) clients answered by the last batch are still expected back, and (c) there was activity within 1.5 ms.
Otherwise it runs immediately. If several threads are free, each takes only its share of the queue.
"""

import math
from dataclasses import dataclass

MAX_DELAY_S = 0.010
"""Maximum delay after a batch is done: about eight clients have sent their next request by then."""

IDLE_GAP_S = 0.0015
"""Idle time that ends the delay: the event loop handles a request or response in less than 1 ms."""


@dataclass(slots=True)
class BatchDelayPolicy:
    """Of `threads` that run batches; a batch of `preferred_tokens` tokens is as fast, for each, as a larger one. 0 for:
    nothing ever waits, and one thread takes all. Moments are on one clock, in s.

    Not thread-safe: the queue holds its lock around each call.
    """

    preferred_tokens: int
    threads: int
    _last_batch_done: float = -math.inf
    _last_activity: float = -math.inf
    _last_batch_requests: int = 0
    """Requests completed with the last batch."""
    _expected_returns: int = 0
    """Clients of the last batch, and of a recent one before, whose next request is expected. Some never send one."""

    def on_batch_done(self, completed_requests: int, now: float) -> None:
        """Record a finished batch that completed `completed_requests` requests."""
        if not completed_requests:
            return
        still_expected = (
            min(self._expected_returns, self._last_batch_requests) if now - self._last_batch_done < MAX_DELAY_S else 0
        )
        self._expected_returns, self._last_batch_requests, self._last_batch_done = (
            still_expected + completed_requests,
            completed_requests,
            now,
        )

    def on_request(self, now: float) -> None:
        """Record a queued request, which may come from a client whose response was just sent."""
        self._expected_returns = max(0, self._expected_returns - 1)
        self._last_activity = now

    def on_response_sent(self, now: float) -> None:
        """Record that a response is being sent. This method alone needs no lock."""
        self._last_activity = now

    def deadline(self, waiting_tokens: int, running_batches: int) -> float:
        """Return the time until which `waiting_tokens` are delayed while `running_batches` run; it may be past."""
        if (
            waiting_tokens >= self.preferred_tokens
            or running_batches < max(1, self.threads - 1)
            or not self._expected_returns
        ):
            return -math.inf
        return min(self._last_batch_done + MAX_DELAY_S, max(self._last_batch_done, self._last_activity) + IDLE_GAP_S)

    def fair_share(self, waiting_tokens: int, running_batches: int) -> float:
        """Return the tokens that the next batch may take while `running_batches` run: a free thread's share of
        `waiting_tokens` if several are free and it is at least `preferred_tokens`, otherwise no limit."""
        free_threads = self.threads - running_batches
        return (
            waiting_tokens / free_threads
            if free_threads > 1 and 0 < self.preferred_tokens * free_threads <= waiting_tokens
            else math.inf
        )
