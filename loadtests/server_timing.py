"""Parser of the Server-Timing header (W3C, "Server Timing", section 3)."""

import math

STAGE_ORDER = ("preprocess", "queue", "inference", "serialize", "total")
"""Headlight's stages, in the order of a request."""

MAX_STAGES, MAX_NAME_LENGTH = 16, 40
"""Maximum stages per response, and characters per name: a server can send anything."""


def parse_server_timing(header: str) -> dict[str, float]:
    """Return the milliseconds of each stage; stages without a duration are left out.

    preprocess;dur=0.41, queue;dur=0.02, total;dur=5.2;desc="all of it"
    """
    stages: dict[str, float] = {}
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "dur":
                try:
                    ms = float(value.strip().strip('"'))
                except ValueError:
                    continue
                if math.isfinite(ms) and len(stages) < MAX_STAGES:
                    stages[name[:MAX_NAME_LENGTH]] = ms
    return stages
