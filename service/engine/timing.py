"""Durations of a request's stages."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from service.engine.items import EngineRequest

STAGES = ("preprocess", "queue", "inference", "serialize")


@dataclass(frozen=True, slots=True)
class Timing:
    """Moments on `time.monotonic`'s clock: inputs are prepared between the first two, wait until `started_at`, when the
    first of them ran, and `finished_at` with the last. After that comes what is made of the results.
    """

    created_at: float
    queued_at: float
    started_at: float
    finished_at: float

    @classmethod
    def merge(cls, requests: Sequence[EngineRequest]) -> Self:
        """Of a request that waited for several models: until the last of each."""
        if len(requests) == 1:
            (request,) = requests
            return cls(request.created_at, request.queued_at, request.started_at, request.finished_at)
        return cls(
            min(request.created_at for request in requests),
            max(request.queued_at for request in requests),
            max(ticket.started_at for ticket in requests),
            max(ticket.finished_at for ticket in requests),
        )

    def stages(self) -> Iterator[tuple[str, float, float]]:
        """Each stage, when it began and when it was over; the last is taken to be over now."""
        moments = (self.created_at, self.queued_at, self.started_at, self.finished_at, time.monotonic())
        yield from zip(STAGES, moments[:-1], moments[1:], strict=True)

    def stages_ms(self) -> dict[str, float]:
        """How long each took, to a hundredth."""
        return {name: round((end - start) * 1000, 2) for name, start, end in self.stages()}
