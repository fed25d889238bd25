"""Access log: one line of JSON per request, without the content of requests and responses."""

import asyncio
import logging
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from service.engine.items import Timing


@dataclass(slots=True)
class RequestRecord:
    """Moments are on `time.monotonic`'s clock; `num_tokens` are tokens of texts and positions of images."""

    method: str
    request_id: bytes
    received_at: float = field(default_factory=time.monotonic)
    finished_at: float = 0.0
    status: int = 0
    """Status of the response, once it has started."""
    error_code: str = ""
    """Stable code of the error, if the response is one."""
    route: str = ""
    model: str = ""
    """Name of the served model, once it is known."""
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


logger = logging.getLogger("service.access")

FLUSH_INTERVAL_S = 0.1
"""Interval between writes of buffered lines: single writes cost as much as the rest of a request's observability."""


class AccessLog:
    """Access log, used on the event loop and closed after it ends."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, record: RequestRecord) -> None:
        """Buffer a request's line."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL_S, self.flush)
        self._lines.append(_format_record(record))

    def flush(self) -> None:
        """Write the buffered lines."""
        lines, self._lines = self._lines, []
        if lines:
            logger.info(b"\n".join(lines).decode())


def _format_record(record: RequestRecord) -> bytes:
    """Format a record; times are in ms, `tokens` include positions of images."""
    stages = {name: duration_ms for name, duration_ms in record.stages_ms.items() if name != "total"}
    return orjson.dumps(
        {
            "time": datetime.now(UTC),
            "request_id": record.request_id.decode("ascii"),
            "method": record.method,
            "route": record.route,
            "status": record.status,
            "model": record.model or None,
            "items": record.num_inputs,
            "tokens": record.num_tokens,
            "total_ms": round((record.finished_at - record.received_at) * 1000, 2),
            "stages_ms": stages,
        }
    )


def configure_access_log() -> None:
    """Lines of JSON and nothing else: what is said to people goes to stderr."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
