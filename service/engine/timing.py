"""Where a request's time went."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from service.engine.items import Ticket

STAGES = ("preprocess", "queue", "inference", "serialize")


@dataclass(frozen=True, slots=True)
class Timing:
    """Moments on `time.monotonic`'s clock: inputs are prepared between the first two, wait until `began`, when the
    first of them ran, and `ended` with the last. After that comes what is made of the results.
    """

    asked: float
    queued: float
    began: float
    ended: float

    @classmethod
    def of(cls, tickets: Sequence[Ticket]) -> Self:
        """Of a request that waited for several models: until the last of each."""
        if len(tickets) == 1:
            (one,) = tickets
            return cls(one.asked, one.queued, one.began, one.ended)
        return cls(
            min(ticket.asked for ticket in tickets),
            max(ticket.queued for ticket in tickets),
            max(ticket.began for ticket in tickets),
            max(ticket.ended for ticket in tickets),
        )

    def stages(self) -> Iterator[tuple[str, float, float]]:
        """Each stage, when it began and when it was over; the last is taken to be over now."""
        moments = (self.asked, self.queued, self.began, self.ended, time.monotonic())
        yield from zip(STAGES, moments[:-1], moments[1:], strict=True)

    def stages_ms(self) -> dict[str, float]:
        """How long each took, to a hundredth."""
        return {name: round((end - start) * 1000, 2) for name, start, end in self.stages()}
