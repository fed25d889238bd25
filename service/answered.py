"""What is told of a request when it is over: to the metrics, the access log and the traces."""

import time
from dataclasses import dataclass, field

from service.engine.timing import Timing


@dataclass(slots=True)
class Answered:
    """Moments are on `time.monotonic`'s clock; `positions` are tokens of texts and positions of pictures."""

    method: str
    request_id: bytes
    came: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    status: int = 0
    """Of the answer, once it has begun."""
    route: str = ""
    model: str = ""
    """As served, once it is known."""
    items: int = 0
    positions: int = 0
    timing: Timing | None = None
    probe: bool = False
    stages_ms: dict[str, float] = field(default_factory=dict)

    def begun(self) -> None:
        """The answer's first bytes are on their way: how long each stage took is known."""
        if self.timing:
            self.stages_ms = self.timing.stages_ms()
            self.stages_ms["total"] = round((time.monotonic() - self.came) * 1000, 2)
