"""How many bytes the bodies of all requests may be together: each alone is bounded, and there may be many.

A body counts from when it is declared, or as it arrives where it is not, until its request is worked off. Small ones
have a share of their own beside it, so that those who send much slowly do not shut out those who send little.
"""

from service.errors import Overloaded

MAX_FULL_SIZE_BODIES = 8
"""So many of the largest are held at a time; in memory each can be several times as much."""

MAX_SMALL_BODY_BYTES, SMALL_BODY_DIVISOR = 64 * 1024, 4
"""Up to so many bytes are small; one part in so many of the others' bytes is for them, on top."""


class BodyMemoryBudget:
    """Counts what is held. For the event loop's thread alone."""

    def __init__(self) -> None:
        self._reserved_bytes = {False: 0, True: 0}  # by whether it is small

    def resize(self, old_bytes: int, new_bytes: int, max_body_bytes: int) -> None:
        """A body counts `now` where it counted `before`; the largest that may be is `largest`.

        Raises Overloaded when there is no room. There always is for one alone.
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
