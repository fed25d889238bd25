"""The access log: a line of JSON for each request. Without what was asked, and without what was answered."""

import logging
import sys
from datetime import UTC, datetime

import orjson

from service.answered import Answered

logger = logging.getLogger("service.access")


def log(answered: Answered) -> None:
    """Times are in ms; `tokens` are positions of pictures too."""
    logger.info(
        orjson.dumps(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request_id": answered.request_id.decode("ascii"),
                "method": answered.method,
                "route": answered.route,
                "status": answered.status,
                "model": answered.model or None,
                "items": answered.items,
                "tokens": answered.positions,
                "total_ms": round((answered.ended - answered.came) * 1000, 2),
                "stages_ms": {name: round(took, 2) for name, took in answered.stages_ms.items() if name != "total"},
            }
        ).decode()
    )


def to_stdout() -> None:
    """Lines of JSON and nothing else: what is said to people goes to stderr."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
