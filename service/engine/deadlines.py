"""Waiting for the next deadline to pass, for when no thread is free to notice."""

import math
import threading
import time

from service.engine.waiting import Waiting


class DeadlineWatch:
    """Of what waits, by one who watches. The lock is the queue's: it is held around each call, and let go while
    `wait_for_next` waits.
    """

    def __init__(self, waiting: Waiting, lock: threading.RLock) -> None:
        self._waiting = waiting
        self._sooner = threading.Condition(lock)
        self._looks_at = math.inf

    def came(self, deadline: float) -> None:
        """A request with this deadline waits now: who watches may have to look sooner."""
        if deadline < self._looks_at:
            self._sooner.notify()

    def wait_for_next(self, within_s: float, ended: threading.Event) -> None:
        """Wait until the next deadline, or so long. What sets `ended` must `wake` who waits."""
        now = time.monotonic()
        self._looks_at = min(now + within_s, self._waiting.next_deadline())
        if not ended.is_set():
            self._sooner.wait(max(0.0, self._looks_at - now))

    def wake(self) -> None:
        """End the wait."""
        self._sooner.notify()
