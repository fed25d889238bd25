"""How deep and how wide the JSON of a body is, told by its bytes: to make millions of lists of it takes seconds.

What is said here of bytes that are no JSON does not matter: reading them ends where they are none.
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


def check(body: bytes, max_containers: int = MAX_CONTAINERS) -> None:
    """Raises InvalidJson for lists and objects that are too deep or too many, and for too many values in them."""
    deep = body.count(b"[") + body.count(b"{") > MAX_DEPTH
    wide = body.count(b",") > MAX_VALUES
    if not (deep or wide):
        return
    escaped = body.replace(rb"\\", b"").replace(rb"\"", b"")  # each quote that is left begins or ends a string
    if wide and len(_outside_strings(escaped, b",")) > MAX_VALUES:
        raise InvalidJson(f"the body has more than {MAX_VALUES} values")
    if deep:
        _check_containers(escaped, max_containers)


def _check_containers(escaped: bytes, most: int) -> None:
    brackets = _outside_strings(escaped, b"[{]}")
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    containers = np.count_nonzero(opening)
    if containers > most:
        raise InvalidJson(f"the body has more than {most} lists and objects")
    steps = np.where(opening[: 2 * containers], 1, -1)  # past as many it is closed, or no JSON
    if steps.cumsum().max(initial=0) > MAX_DEPTH:
        raise InvalidJson(f"the body is nested more than {MAX_DEPTH} deep")


def _outside_strings(escaped: bytes, kept: bytes) -> Bytes:
    """Those of the `kept` bytes that are of no string, in order; a regular expression would remember each escape."""
    others = bytes(set(range(256)) - {_QUOTE, *kept})
    found = np.frombuffer(escaped.translate(None, delete=others), dtype=np.uint8)
    quotes = np.cumsum(found == _QUOTE, dtype=np.uint8)  # whether they are even is all that counts: it may overflow
    outside: Bytes = found[(quotes & 1 == 0) & (found != _QUOTE)]
    return outside
