"""Waiting for the next deadline to pass, for when no thread is free to notice."""

import math
import threading
import time

from service.engine.waiting import Waiting


class Deadlines:
    """The lock is the queue's, which is held around each call, and let go in `pass_by`."""

    def __init__(self, waiting: Waiting, lock: threading.RLock) -> None:
        self._waiting = waiting
        self._sooner = threading.Condition(lock)
        self._looks_at = math.inf

    def came(self, deadline: float) -> None:
        """Of a request that waits now."""
        if deadline < self._looks_at:
            self._sooner.notify()

    def pass_by(self, within_s: float, ended: threading.Event) -> None:
        """Wait until the next one, or so long. What sets `ended` must `wake` who waits."""
        now = time.monotonic()
        self._looks_at = min(now + within_s, self._waiting.next_deadline())
        if not ended.is_set():
            self._sooner.wait(max(0.0, self._looks_at - now))

    def wake(self) -> None:
        self._sooner.notify()
