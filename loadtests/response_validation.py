"""Validation of responses: an invalid one is a failure, however fast."""

import base64
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from loadtests.payloads.workload import Request

NORM_TOLERANCE = 1e-3
ATTENTION_SUM_TOLERANCE = 1e-4


class ResponseValidator:
    """Validates responses against their requests and against each other: one model gives embeddings of one width.

    `dimensions` is that width where it is known, else the first answer of each kind tells it. Not every server scales
    its vectors to length 1: then `unit_norm` is False.
    """

    def __init__(self, *, dimensions: int | None = None, unit_norm: bool = True) -> None:
        self._dimensions = dimensions
        self._unit_norm = unit_norm
        self._widths: dict[str, int] = {}

    def find_problem(self, request: Request, status: int, content: bytes | None) -> str | None:
        """Return what is wrong with a response, in a few words that do not differ between responses; or None."""
        if status != 200:
            return f"status {status}"
        try:
            data = json.loads(content or b"")["data"]
            if len(data) != request.num_inputs:
                return f"expected {request.num_inputs} embeddings, got another number"
            problems = [self._entry_problem(request, entry) for entry in data]
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
            return "malformed response"
        return next((problem for problem in problems if problem), None)

    def _entry_problem(self, request: Request, entry: dict[str, Any]) -> str | None:
        vector = _decode_vector(entry["embedding"])
        width = self._dimensions or self._widths.setdefault(request.name.split()[0], len(vector))
        if len(vector) != width:
            return "embedding has the wrong number of dimensions"
        length = math.sqrt(math.fsum(x * x for x in vector))
        if not math.isfinite(length):
            return "embedding is not finite"
        if self._unit_norm and not math.isclose(length, 1, abs_tol=NORM_TOLERANCE):
            return "embedding is not L2-normalized"
        return _attention_problem(entry["attention"]) if request.has_attention else None


def _attention_problem(attention: dict[str, Any]) -> str | None:
    values = attention["values"]
    if len(values) != len(attention["tokens"] or attention["grid"]["boxes_px"]):
        return "attention and tokens differ in length"
    if not math.isclose(math.fsum(values), 1, abs_tol=ATTENTION_SUM_TOLERANCE):
        return "attention does not sum to 1"
    return None


def _decode_vector(embedding: str | list[float]) -> Sequence[float]:
    if isinstance(embedding, list):
        return embedding
    data = base64.b64decode(embedding, validate=True)
    return struct.unpack(f"<{len(data) // 4}f", data)
