"""Backpressure on uploads: a global memory budget for request bodies (each body is also limited individually).

A body counts from its Content-Length, or as it arrives if it has none, until its request is done. Small bodies have a
separate budget, so that slow uploads of large bodies do not block small requests.
"""

import numpy as np
import numpy.typing as npt

from service import limits
from service.errors import InvalidJson, Overloaded


class BodyMemoryBudget:
    """Counter of body bytes in memory. Only for the event loop's thread."""

    def __init__(self) -> None:
        self._reserved_bytes = {False: 0, True: 0}  # for large bodies, and for small ones

    def resize(self, old_bytes: int, new_bytes: int, max_body_bytes: int) -> None:
        """Change a body's reservation from `old_bytes` to `new_bytes`; the budget scales with `max_body_bytes`.

        Raises Overloaded if the budget is exceeded. A single body always fits.
        """
        self._reserved_bytes[old_bytes <= limits.MAX_SMALL_BODY_BYTES] -= old_bytes
        small = new_bytes <= limits.MAX_SMALL_BODY_BYTES
        limit_bytes = limits.MAX_FULL_SIZE_BODIES * max_body_bytes // (limits.SMALL_BODY_DIVISOR if small else 1)
        if (
            new_bytes > old_bytes
            and self._reserved_bytes[small]
            and self._reserved_bytes[small] + new_bytes > limit_bytes
        ):
            self._reserved_bytes[old_bytes <= limits.MAX_SMALL_BODY_BYTES] += old_bytes
            raise Overloaded("too many request bodies in memory; retry later")
        self._reserved_bytes[small] += new_bytes


Bytes = npt.NDArray[np.uint8]


_QUOTE = ord('"')


def check_json_limits(body: bytes, max_containers: int = limits.MAX_JSON_CONTAINERS) -> None:
    """Raise InvalidJson for lists and objects that are too deep or too many, or hold too many values."""
    maybe_deep = body.count(b"[") + body.count(b"{") > limits.MAX_JSON_DEPTH
    maybe_wide = body.count(b",") > limits.MAX_JSON_VALUES
    if not (maybe_deep or maybe_wide):
        return
    escaped = body.replace(rb"\\", b"").replace(rb"\"", b"")  # each remaining quote starts or ends a string
    if maybe_wide and len(_structural_bytes(escaped, b",")) > limits.MAX_JSON_VALUES:
        raise InvalidJson(f"the body exceeds {limits.MAX_JSON_VALUES} values")
    if maybe_deep:
        _check_containers(escaped, max_containers)


def _check_containers(escaped: bytes, max_containers: int) -> None:
    brackets = _structural_bytes(escaped, b"[{]}")
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    containers = np.count_nonzero(opening)
    if containers > max_containers:
        raise InvalidJson(f"the body exceeds {max_containers} lists and objects")
    steps = np.where(opening[: 2 * containers], 1, -1)  # valid JSON has no more brackets
    if steps.cumsum().max(initial=0) > limits.MAX_JSON_DEPTH:
        raise InvalidJson(f"the body is nested deeper than {limits.MAX_JSON_DEPTH} levels")


def _structural_bytes(escaped: bytes, wanted: bytes) -> Bytes:
    """Those of the `wanted` bytes that are of no string, in order; a regular expression would remember each escape."""
    others = bytes(set(range(256)) - {_QUOTE, *wanted})
    candidates = np.frombuffer(escaped.translate(None, delete=others), dtype=np.uint8)
    quotes = np.cumsum(candidates == _QUOTE, dtype=np.uint8)  # only the parity matters, so overflow is harmless
    outside: Bytes = candidates[(quotes & 1 == 0) & (candidates != _QUOTE)]
    return outside
