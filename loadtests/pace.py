"""How fast the users of this process are to go: told by whoever conducts the run, on this machine or another."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Tempo:
    """From `since` on, each user of an open loop starts `rate` requests a second. `began` is when the run did.

    Both are times by the wall clock. At a rate of 0 nobody sends anything, nor do users of a closed loop, whose rate is
    their own. `number` grows from one tempo to the next.
    """

    number: int
    began: float
    since: float
    rate: float
    measured: bool

    def dump(self) -> dict[str, Any]:
        return asdict(self)


class Pace:
    """The tempo as it is now."""

    def __init__(self) -> None:
        self.tempo = Tempo(0, 0, 0, 0, measured=False)

    def passed(self, tempo: Tempo, at: float) -> bool:
        """Whether that time is no longer the tempo's: of a new one is told before it begins."""
        return self.tempo is not tempo and at >= self.tempo.since
