"""How many bytes the bodies of all requests may be together: each alone is bounded, and there may be many.

A body counts from when it is declared, or as it arrives where it is not, until its request is worked off. Small ones
have a share of their own beside it, so that those who send much slowly do not shut out those who send little.
"""

from service.errors import Overloaded

LARGEST = 8
"""So many of the largest are held at a time; in memory each can be several times as much."""

SMALL_BYTES, SMALL_SHARE = 64 * 1024, 4
"""Up to so many bytes are small; one part in so many of the others' bytes is for them, on top."""


class Bodies:
    """Counts what is held. For the event loop's thread alone."""

    def __init__(self) -> None:
        self._held = {False: 0, True: 0}  # by whether it is small

    def change(self, before: int, now: int, largest: int) -> None:
        """A body counts `now` where it counted `before`; the largest that may be is `largest`.

        Raises Overloaded when there is no room. There always is for one alone.
        """
        self._held[before <= SMALL_BYTES] -= before
        small = now <= SMALL_BYTES
        most = LARGEST * largest // (SMALL_SHARE if small else 1)
        if now > before and self._held[small] and self._held[small] + now > most:
            self._held[before <= SMALL_BYTES] += before
            raise Overloaded("the bodies of other requests are all that is held at a time")
        self._held[small] += now
