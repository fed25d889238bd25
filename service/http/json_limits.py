"""Limits on the depth and size of a JSON body, checked on its bytes: parsing millions of lists takes seconds.

The result does not matter for invalid JSON, which the parser rejects.
"""

import numpy as np
import numpy.typing as npt

from service.errors import InvalidJson

Bytes = npt.NDArray[np.uint8]

MAX_DEPTH = 100
MAX_CONTAINERS = 65_536
MAX_VALUES = 2**20
"""In all lists and objects; as token ids, they are four times what may wait. More would hold the event loop up."""

_QUOTE = ord('"')


def check_json_limits(body: bytes, max_containers: int = MAX_CONTAINERS) -> None:
    """Raise InvalidJson for lists and objects that are too deep or too many, or hold too many values."""
    maybe_deep = body.count(b"[") + body.count(b"{") > MAX_DEPTH
    maybe_wide = body.count(b",") > MAX_VALUES
    if not (maybe_deep or maybe_wide):
        return
    escaped = body.replace(rb"\\", b"").replace(rb"\"", b"")  # each quote that is left begins or ends a string
    if maybe_wide and len(_structural_bytes(escaped, b",")) > MAX_VALUES:
        raise InvalidJson(f"the body exceeds {MAX_VALUES} values")
    if maybe_deep:
        _check_containers(escaped, max_containers)


def _check_containers(escaped: bytes, max_containers: int) -> None:
    brackets = _structural_bytes(escaped, b"[{]}")
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    containers = np.count_nonzero(opening)
    if containers > max_containers:
        raise InvalidJson(f"the body exceeds {max_containers} lists and objects")
    steps = np.where(opening[: 2 * containers], 1, -1)  # past as many it is closed, or no JSON
    if steps.cumsum().max(initial=0) > MAX_DEPTH:
        raise InvalidJson(f"the body is nested deeper than {MAX_DEPTH} levels")


def _structural_bytes(escaped: bytes, wanted: bytes) -> Bytes:
    """Those of the `wanted` bytes that are of no string, in order; a regular expression would remember each escape."""
    others = bytes(set(range(256)) - {_QUOTE, *wanted})
    candidates = np.frombuffer(escaped.translate(None, delete=others), dtype=np.uint8)
    quotes = np.cumsum(
        candidates == _QUOTE, dtype=np.uint8
    )  # whether they are even is all that counts: it may overflow
    outside: Bytes = candidates[(quotes & 1 == 0) & (candidates != _QUOTE)]
    return outside
