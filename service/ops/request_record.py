"""Record of a request for the metrics, the access log and the traces."""

import time
from dataclasses import dataclass, field

from service.engine.items import Timing


@dataclass(slots=True)
class RequestRecord:
    """Moments are on `time.monotonic`'s clock; `num_tokens` are tokens of texts and positions of pictures."""

    method: str
    request_id: bytes
    received_at: float = field(default_factory=time.monotonic)
    finished_at: float = 0.0
    status: int = 0
    """Of the response, once it has started."""
    error_code: str = ""
    """Stable code of the error, if the response is one."""
    route: str = ""
    model: str = ""
    """As served, once it is known."""
    num_inputs: int = 0
    num_tokens: int = 0
    timing: Timing | None = None
    is_probe: bool = False
    stages_ms: dict[str, float] = field(default_factory=dict)

    def response_started(self) -> None:
        """Record that the response started, with the duration of each stage."""
        if self.timing:
            self.stages_ms = self.timing.stages_ms()
            self.stages_ms["total"] = round((time.monotonic() - self.received_at) * 1000, 2)
