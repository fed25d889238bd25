"""Timer for the next deadline, for when no thread is free to notice it."""

import math
import threading
import time

from service.engine.waiting_queue import WaitingQueue


class DeadlineTimer:
    """Of what waits, by one who watches. The lock is the queue's: it is held around each call, and let go while
    `wait_for_next` waits.
    """

    def __init__(self, waiting: WaitingQueue, lock: threading.RLock) -> None:
        self._waiting = waiting
        self._earlier = threading.Condition(lock)
        self._wakes_at = math.inf

    def on_new_deadline(self, deadline: float) -> None:
        """Wake the watcher earlier if this deadline of a new request is sooner."""
        if deadline < self._wakes_at:
            self._earlier.notify()

    def wait_for_next(self, max_wait_s: float, stopped: threading.Event) -> None:
        """Wait until the next deadline, or so long. What sets `stopped` must `wake` who waits."""
        now = time.monotonic()
        self._wakes_at = min(now + max_wait_s, self._waiting.next_deadline())
        if not stopped.is_set():
            self._earlier.wait(max(0.0, self._wakes_at - now))

    def wake(self) -> None:
        """End the wait."""
        self._earlier.notify()
