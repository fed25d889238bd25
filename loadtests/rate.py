"""Request rate of the users of this process, as published by the load controller on this machine or another."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RateStage:
    """Requests per second of each user of an open loop from `starts_at` on.

    `run_started_at` and `starts_at` are wall-clock times. At a rate of 0 no user sends requests; users of a closed loop
    otherwise ignore the rate. `number` increases from stage to stage.
    """

    number: int
    run_started_at: float
    starts_at: float
    rate: float
    measured: bool

    def dump(self) -> dict[str, Any]:
        return asdict(self)


class CurrentRate:
    """Latest stage that the controller published."""

    def __init__(self) -> None:
        self.stage = RateStage(0, 0, 0, 0, measured=False)

    def is_over(self, stage: RateStage, time_s: float) -> bool:
        """Return whether a later stage applies at `time_s`; a stage is published before it starts."""
        return self.stage is not stage and time_s >= self.stage.starts_at
