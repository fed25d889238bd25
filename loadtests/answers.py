"""Is an answer right? A wrong one is a failure, however fast it came."""

import base64
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from loadtests.payloads.mix import Request

LENGTH_WITHIN = 1e-3
ATTENTION_WITHIN = 1e-4


class Answers:
    """Checks answers against their requests and against each other: one model gives vectors of one width.

    `dimensions` is that width where it is known, else the first answer of each kind tells it. Not every server scales
    its vectors to length 1: then `unit` is False.
    """

    def __init__(self, *, dimensions: int | None = None, unit: bool = True) -> None:
        self._dimensions = dimensions
        self._unit = unit
        self._widths: dict[str, int] = {}

    def problem(self, request: Request, status: int, content: bytes | None) -> str | None:
        """What is wrong with an answer, in a few words that do not differ from answer to answer; or None."""
        if status != 200:
            return f"status {status}"
        try:
            data = json.loads(content or b"")["data"]
            if len(data) != request.items:
                return f"{request.items} items were asked for, and others came"
            problems = [self._of(request, entry) for entry in data]
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
            return "an answer of another shape"
        return next((problem for problem in problems if problem), None)

    def _of(self, request: Request, entry: dict[str, Any]) -> str | None:
        vector = _vector(entry["embedding"])
        width = self._dimensions or self._widths.setdefault(request.name.split()[0], len(vector))
        if len(vector) != width:
            return "a vector of another width"
        length = math.sqrt(math.fsum(x * x for x in vector))
        if not math.isfinite(length):
            return "a vector that is not finite"
        if self._unit and not math.isclose(length, 1, abs_tol=LENGTH_WITHIN):
            return "a vector whose length is not 1"
        return _attention_problem(entry["attention"]) if request.attention else None


def _attention_problem(attention: dict[str, Any]) -> str | None:
    values = attention["values"]
    if len(values) != len(attention["tokens"] or attention["grid"]["boxes_px"]):
        return "attention of another length than what it is told on"
    if not math.isclose(math.fsum(values), 1, abs_tol=ATTENTION_WITHIN):
        return "attention that does not sum to 1"
    return None


def _vector(embedding: str | list[float]) -> Sequence[float]:
    if isinstance(embedding, list):
        return embedding
    found = base64.b64decode(embedding, validate=True)
    return struct.unpack(f"<{len(found) // 4}f", found)
