"""Whether a batch that would be small waits a moment for company.

Clients that wait for their answers come back one by one when a batch has been handed out, and the first of them would
be the whole of the next batch. So a thread that is free lets it wait, as long as others use the processors, and keep
coming. Otherwise it does not: what comes while nobody was just answered, or while little runs, is run at once.
"""

import math
from dataclasses import dataclass

LONGEST_S = 0.010
"""After a batch was handed out: some eight clients are back by then."""

GAP_S = 0.0015
"""Nothing came and no answer was sent for so long: nobody is on the way. Each takes the event loop less than 1 ms."""


@dataclass(slots=True)
class Gathering:
    """Of `enough` tokens nothing waits, and while fewer than `busy` batches run. Moments are on one clock, in s.

    Not thread-safe: the queue holds its lock around each call.
    """

    enough: int
    busy: int
    handed_out: float = -math.inf
    """When the last batch was."""
    stirred: float = -math.inf
    """When the last request came, or the last answer was sent, if that was later."""

    def until(self, tokens: int, running: int) -> float:
        """The moment up to which a batch of so many tokens waits, beside so many that run; it may have passed."""
        if tokens >= self.enough or running < self.busy:
            return -math.inf
        return min(self.handed_out + LONGEST_S, max(self.handed_out, self.stirred) + GAP_S)
