"""SIGTERM as an exception: it unwinds the stack, so that staged files are removed.

Python drops exceptions raised in finalizers and in some libraries' callbacks, and the signal with them. The signal is
therefore also recorded, and checked at every step.
"""

import signal
import sys
from types import FrameType


class ExitOnSigterm:
    """Turns SIGTERM into SystemExit from its construction on."""

    def __init__(self) -> None:
        self._received = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def check(self) -> None:
        """Raise SystemExit if SIGTERM was received."""
        if self._received:
            sys.exit(128 + signal.SIGTERM)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        self.check()
