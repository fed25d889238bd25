"""SIGTERM and SIGINT (Ctrl-C) as exceptions: they unwind the stack, so that staged files are removed.

Python drops exceptions raised in finalizers and in some libraries' callbacks, and the signal with them. The signal is
therefore also recorded, and checked at every step.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignals:
    """Turns SIGTERM into SystemExit, and SIGINT unless it is ignored into KeyboardInterrupt, once constructed."""

    def __init__(self) -> None:
        self._received: int | None = None
        signal.signal(signal.SIGTERM, self._on_signal)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # ignored in a shell's background job
            signal.signal(signal.SIGINT, self._on_signal)

    def check(self) -> None:
        """Raise KeyboardInterrupt if SIGINT was received last, SystemExit if SIGTERM was."""
        if self._received == signal.SIGINT:
            raise KeyboardInterrupt
        if self._received is not None:
            sys.exit(128 + self._received)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._received = number
        self.check()


@contextmanager
def defer_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT wait until the block has ended.

    By handlers and not by a mask: another thread's would not be masked, and Python runs the handler in the main thread
    whichever receives the signal. So only the main thread has anything to defer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda found, _frame: received.append(found))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for last in received[-1:]:
            signal.raise_signal(last)
