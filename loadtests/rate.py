"""How fast the users of this process are to go: told by whoever conducts the run, on this machine or another."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RateStage:
    """From `since` on, each user of an open loop starts `rate` requests a second. `began` is when the run did.

    Both are times by the wall clock. At a rate of 0 nobody sends anything, nor do users of a closed loop, whose rate is
    their own. `number` grows from one tempo to the next.
    """

    number: int
    run_started_at: float
    starts_at: float
    rate: float
    measured: bool

    def dump(self) -> dict[str, Any]:
        return asdict(self)


class CurrentRate:
    """The tempo as it is now."""

    def __init__(self) -> None:
        self.stage = RateStage(0, 0, 0, 0, measured=False)

    def is_over(self, stage: RateStage, time_s: float) -> bool:
        """Whether that time is no longer the tempo's: of a new one is told before it begins."""
        return self.stage is not stage and time_s >= self.stage.starts_at
