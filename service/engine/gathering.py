"""How much a thread that is free takes of what waits.

Clients that wait for their answers come back one by one when a batch has been handed out, and the first of them would
be the whole of the next batch. So a free thread lets it wait for the others, as long as the processors are used, and
something stirs. Otherwise nothing waits: what comes while nobody was just answered, when all who were are back, or
while little runs, is run at once. And where several threads are free, one does not take what is enough for all.
"""

import math
from dataclasses import dataclass

LONGEST_S = 0.010
"""After a batch was handed out: some eight clients are back by then."""

GAP_S = 0.0015
"""Nothing came and no answer was sent for so long: nobody is on the way. Each takes the event loop less than 1 ms."""


@dataclass(slots=True)
class Gathering:
    """Of `threads` that run batches; a batch of `enough` tokens is as fast, for each, as a larger one. 0 for: nothing
    ever waits, and one thread takes all. Moments are on one clock, in s.

    Not thread-safe: the queue holds its lock around each call.
    """

    enough: int
    threads: int
    _handed_out: float = -math.inf
    _stirred: float = -math.inf
    _answered: int = 0
    """With the last batch that was handed out."""
    _away: int = 0
    """Clients answered with it, or the one before if that was lately, who are not back. An estimate: some never are."""

    def handed_out(self, answered: int, now: float) -> None:
        """A batch was, with which so many requests were answered."""
        if not answered:
            return
        before = min(self._away, self._answered) if now - self._handed_out < LONGEST_S else 0
        self._away, self._answered, self._handed_out = before + answered, answered, now

    def came(self, now: float) -> None:
        """A request that waits, which may be of one who was answered."""
        self._away = max(0, self._away - 1)
        self._stirred = now

    def sent(self, now: float) -> None:
        """An answer is on its way to its client. This alone needs no lock."""
        self._stirred = now

    def until(self, tokens: int, running: int) -> float:
        """The moment up to which so many waiting tokens wait, beside so many batches; it may have passed."""
        if tokens >= self.enough or running < max(1, self.threads - 1) or not self._away:
            return -math.inf
        return min(self._handed_out + LONGEST_S, max(self._handed_out, self._stirred) + GAP_S)

    def most(self, tokens: int, running: int) -> float:
        """Of so many waiting tokens, those that one batch should have, beside so many batches: its part, if each
        thread's is enough."""
        free = self.threads - running
        return tokens / free if free > 1 and 0 < self.enough * free <= tokens else math.inf
