"""Being told to stop: as an exception it unwinds, so that what was staged goes too.

Python drops an exception that is raised in a finalizer or a callback of a library's, and the signal with it; so it is
remembered as well, and looked for at every step.
"""

import signal
import sys
from types import FrameType


class ExitOnSigterm:
    """Turns SIGTERM into SystemExit from the moment that it exists."""

    def __init__(self) -> None:
        self._received = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def check(self) -> None:
        """Raises SystemExit if the signal has come."""
        if self._received:
            sys.exit(128 + signal.SIGTERM)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        self.check()
