"""The threads that run batches, and the one that watches them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.engine.items import Batch
from service.engine.queue import Queue
from service.engine.running import Running
from service.errors import InferenceFailed, NotReady

LONGEST_LOOK_S = 1.0
"""How often the watcher looks, at least: sooner, when a deadline is."""


class Workers:
    """`count` threads. One that is stuck in a batch for `stuck_after_s` is replaced, and ends when the batch does.

    When as many replacements are stuck too, or a model runs nothing any more, that is a fault: the engine ends, and
    what runs it must start it anew.
    """

    def __init__(self, queue: Queue, running: Running, *, count: int, stuck_after_s: float) -> None:
        self._queue = queue
        self._count = count
        self._running = running
        self._stuck_after_s = stuck_after_s
        self._lock = threading.Lock()
        self._busy: dict[threading.Thread, tuple[Batch, float]] = {}
        self._stuck: set[threading.Thread] = set()
        self._faulty = threading.Event()
        self._ended = threading.Event()
        self._threads = [self._start() for _ in range(count)]
        self._watcher = threading.Thread(target=self._watch, name="headlight-watcher", daemon=True)
        self._watcher.start()

    @property
    def alive(self) -> bool:
        """Every thread is at work, and none is stuck."""
        return not (self._faulty.is_set() or self._ended.is_set() or self._stuck)

    def join(self) -> None:
        """Wait for the threads to end, which they do when the queue is closed and empty; not for those stuck."""
        while at_work := [thread for thread in self._threads if thread.is_alive() and thread not in self._stuck]:
            at_work[0].join(LONGEST_LOOK_S)
        self._ended.set()
        self._queue.wake()
        self._watcher.join()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="headlight-engine", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        me = threading.current_thread()
        with self._ending_the_engine_on_a_fault():
            while me not in self._stuck and (batch := self._queue.take()):
                self._serve(me, batch)
                del batch  # or a thread that waits would keep the requests it served last
        self._stuck.discard(me)

    @contextmanager
    def _ending_the_engine_on_a_fault(self) -> Iterator[None]:
        """A thread that dies unseen would leave requests that nobody answers."""
        faulty = True
        try:
            yield
            faulty = False
        finally:
            if faulty:
                self._faulty.set()
                self._queue.abandon(NotReady("the engine has stopped"))

    def _serve(self, me: threading.Thread, batch: Batch) -> None:
        with self._lock:
            self._busy[me] = batch, time.monotonic()
        try:
            outcomes = self._running.run(batch.items, alone=batch.alone)
        finally:
            with self._lock:
                del self._busy[me]
        self._queue.finish(batch, outcomes)

    def _watch(self) -> None:
        with self._ending_the_engine_on_a_fault():
            while not self._ended.is_set():
                self._queue.expire(min(LONGEST_LOOK_S, self._stuck_after_s / 4), self._ended)
                for batch in self._newly_stuck():
                    self._queue.give_up(batch, InferenceFailed("the model took too long"))
                    if len(self._stuck) > self._count:
                        raise RuntimeError("more batches are stuck than run at a time")
                    self._threads = [other for other in self._threads if other.is_alive()] + [self._start()]

    def _newly_stuck(self) -> list[Batch]:
        """Batches that have run for too long; their threads end when they do."""
        now = time.monotonic()
        with self._lock:
            late = {
                thread: batch
                for thread, (batch, since) in self._busy.items()
                if now - since > self._stuck_after_s and thread not in self._stuck
            }
            self._stuck.update(late)
        return list(late.values())
