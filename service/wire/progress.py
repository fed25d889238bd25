"""Where a connection stands with what its client sends. Knows neither HTTP nor the network."""

from enum import Enum

SLOWEST_BYTES_PER_S = 16 * 2**10
"""Of a body, on average, once the read timeout has passed."""


class Phase(Enum):
    """What is being waited for."""

    SILENT = "a first byte"
    HEAD = "the rest of a request line and headers"
    BODY = "the rest of a body"
    DONE = "another request, or nothing"
    REFUSED = "that the client goes"


SILENT, HEAD, BODY, DONE, REFUSED = Phase


class Progress:
    """Counts by chunks as they come from the network, so that a request that comes whole costs next to nothing."""

    def __init__(self) -> None:
        self.phase = SILENT
        self.since = 0.0  # when the phase began, once it was looked at
        self.arrived = 0  # bytes since then, with all of the chunk in which it did
        self.fruitful = False  # the chunk that came last held some of a body
        self.barren = 0  # bytes since the last of a body: of its framing and its trailers
        self._fresh = True
        self._chunk = 0
        self._first_chunk = 0

    def came(self, count: int) -> None:
        """A chunk of so many bytes."""
        self._chunk = count
        self.fruitful = False
        if self.phase is DONE or self.phase is SILENT:
            self.begin(HEAD)
            self.arrived = count
        else:
            self.arrived += count

    def begin(self, phase: Phase) -> None:
        self.phase = phase
        self._fresh = True

    def look(self, now: float) -> None:
        """The chunk that came last is read, and something is incomplete."""
        if self._fresh:
            self.since = now
            self.arrived = self._first_chunk = self._chunk
            self.barren = 0
            self._fresh = False
        else:
            self.barren = 0 if self.fruitful else self.barren + self._chunk

    @property
    def whole_chunks(self) -> int:
        """Bytes that surely belong to this phase."""
        return self.arrived - self._first_chunk

    def allowed_s(self, timeout_s: float) -> float:
        """How long the phase may last."""
        return timeout_s + self.arrived / SLOWEST_BYTES_PER_S if self.phase is BODY else timeout_s
