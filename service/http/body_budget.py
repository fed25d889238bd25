"""Backpressure on uploads: a global memory budget for request bodies (each body is also limited individually).

A body counts from its Content-Length, or as it arrives if it has none, until its request is done. Small bodies have a
separate budget, so that slow uploads of large bodies do not block small requests.
"""

from service.errors import Overloaded

MAX_FULL_SIZE_BODIES = 8
"""Budget in bodies of the maximum size; in memory each can take several times its size."""

MAX_SMALL_BODY_BYTES, SMALL_BODY_DIVISOR = 64 * 1024, 4
"""Maximum size of a small body; the budget for small bodies is the main budget divided by the divisor."""


class BodyMemoryBudget:
    """Counter of body bytes in memory. Only for the event loop's thread."""

    def __init__(self) -> None:
        self._reserved_bytes = {False: 0, True: 0}  # by whether it is small

    def resize(self, old_bytes: int, new_bytes: int, max_body_bytes: int) -> None:
        """Change a body's reservation from `old_bytes` to `new_bytes`; the budget scales with `max_body_bytes`.

        Raises Overloaded if the budget is exceeded. A single body always fits.
        """
        self._reserved_bytes[old_bytes <= MAX_SMALL_BODY_BYTES] -= old_bytes
        small = new_bytes <= MAX_SMALL_BODY_BYTES
        limit_bytes = MAX_FULL_SIZE_BODIES * max_body_bytes // (SMALL_BODY_DIVISOR if small else 1)
        if (
            new_bytes > old_bytes
            and self._reserved_bytes[small]
            and self._reserved_bytes[small] + new_bytes > limit_bytes
        ):
            self._reserved_bytes[old_bytes <= MAX_SMALL_BODY_BYTES] += old_bytes
            raise Overloaded("too many request bodies in memory; retry later")
        self._reserved_bytes[small] += new_bytes
