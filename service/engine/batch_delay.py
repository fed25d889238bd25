"""How much a thread that is free takes of what waits.

Clients that wait for their answers come back one by one when a batch has been handed out, and the first of them would
be the whole of the next batch. So a free thread lets it wait for the others, as long as the processors are used, and
something stirs. Otherwise nothing waits: what comes while nobody was just answered, when all who were are back, or
while little runs, is run at once. And where several threads are free, one does not take what is enough for all.
"""

import math
from dataclasses import dataclass

MAX_DELAY_S = 0.010
"""After a batch was handed out: some eight clients are back by then."""

IDLE_GAP_S = 0.0015
"""Nothing came and no answer was sent for so long: nobody is on the way. Each takes the event loop less than 1 ms."""


@dataclass(slots=True)
class BatchDelayPolicy:
    """Of `threads` that run batches; a batch of `enough` tokens is as fast, for each, as a larger one. 0 for: nothing
    ever waits, and one thread takes all. Moments are on one clock, in s.

    Not thread-safe: the queue holds its lock around each call.
    """

    preferred_tokens: int
    threads: int
    _last_batch_done: float = -math.inf
    _last_activity: float = -math.inf
    _last_batch_requests: int = 0
    """With the last batch that was handed out."""
    _expected_returns: int = 0
    """Clients answered with it, or the one before if that was lately, who are not back. An estimate: some never are."""

    def on_batch_done(self, completed_requests: int, now: float) -> None:
        """A batch was, with which so many requests were answered."""
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
        """A request that waits, which may be of one who was answered."""
        self._expected_returns = max(0, self._expected_returns - 1)
        self._last_activity = now

    def on_response_sent(self, now: float) -> None:
        """An answer is on its way to its client. This alone needs no lock."""
        self._last_activity = now

    def deadline(self, waiting_tokens: int, running_batches: int) -> float:
        """The moment up to which so many waiting tokens wait, beside so many batches; it may have passed."""
        if (
            waiting_tokens >= self.preferred_tokens
            or running_batches < max(1, self.threads - 1)
            or not self._expected_returns
        ):
            return -math.inf
        return min(self._last_batch_done + MAX_DELAY_S, max(self._last_batch_done, self._last_activity) + IDLE_GAP_S)

    def fair_share(self, waiting_tokens: int, running_batches: int) -> float:
        """Of so many waiting tokens, those that one batch should have, beside so many batches: its part, if each
        thread's is enough."""
        free_threads = self.threads - running_batches
        return (
            waiting_tokens / free_threads
            if free_threads > 1 and 0 < self.preferred_tokens * free_threads <= waiting_tokens
            else math.inf
        )
