"""Threads that run batches, and the watchdog."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.engine.batch_executor import BatchExecutor
from service.engine.items import Batch
from service.engine.scheduler import Scheduler
from service.errors import InferenceFailed, NotReady

WATCHDOG_INTERVAL_S = 1.0
"""How often the watcher looks, at least: sooner, when a deadline is."""


class Workers:
    """`count` threads. One that hangs in a batch for `hung_after_s` is replaced, and ends when the batch does.

    When as many replacements are stuck too, or a model is unusable, the engine stops: the process must be restarted.
    """

    def __init__(self, scheduler: Scheduler, batch_executor: BatchExecutor, *, count: int, hung_after_s: float) -> None:
        self._scheduler = scheduler
        self._count = count
        self._batch_executor = batch_executor
        self._hung_after_s = hung_after_s
        self._lock = threading.Lock()
        self._busy: dict[threading.Thread, tuple[Batch, float]] = {}
        self._hung: set[threading.Thread] = set()
        self._failed = threading.Event()
        self._stopped = threading.Event()
        self._threads = [self._start() for _ in range(count)]
        self._watchdog = threading.Thread(target=self._watch, name="headlight-watchdog", daemon=True)
        self._watchdog.start()

    @property
    def alive(self) -> bool:
        """True if every thread works and none is stuck."""
        return not (self._failed.is_set() or self._stopped.is_set() or self._hung)

    def join(self) -> None:
        """Wait for the threads to end, which they do when the queue is closed and empty; not for those stuck."""
        while running := [thread for thread in self._threads if thread.is_alive() and thread not in self._hung]:
            running[0].join(WATCHDOG_INTERVAL_S)
        self._stopped.set()
        self._scheduler.wake()
        self._watchdog.join()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run_batches, name="headlight-engine", daemon=True)
        thread.start()
        return thread

    def _run_batches(self) -> None:
        current = threading.current_thread()
        with self._fail_engine_on_error():
            while current not in self._hung and (batch := self._scheduler.next_batch()):
                self._run_batch(current, batch)
                del batch  # or a thread that waits would keep the requests it served last
        self._hung.discard(current)

    @contextmanager
    def _fail_engine_on_error(self) -> Iterator[None]:
        """Stop the engine if the thread fails: otherwise its requests would never complete."""
        failed = True
        try:
            yield
            failed = False
        finally:
            if failed:
                self._failed.set()
                self._scheduler.abort_all(NotReady("the engine has stopped"))

    def _run_batch(self, current: threading.Thread, batch: Batch) -> None:
        with self._lock:
            self._busy[current] = batch, time.monotonic()
        try:
            results = self._batch_executor.run(batch.items, exclusive=batch.exclusive)
        finally:
            with self._lock:
                del self._busy[current]
        self._scheduler.complete(batch, results)

    def _watch(self) -> None:
        with self._fail_engine_on_error():
            while not self._stopped.is_set():
                self._scheduler.expire(min(WATCHDOG_INTERVAL_S, self._hung_after_s / 4), self._stopped)
                for batch in self._newly_hung():
                    self._scheduler.fail_batch(batch, InferenceFailed("inference took too long"))
                    if len(self._hung) > self._count:
                        raise RuntimeError("more batches are hung than can run concurrently")
                    self._threads = [other for other in self._threads if other.is_alive()] + [self._start()]

    def _newly_hung(self) -> list[Batch]:
        """Batches that have run for too long; their threads end when they do."""
        now = time.monotonic()
        with self._lock:
            hung = {
                thread: batch
                for thread, (batch, since) in self._busy.items()
                if now - since > self._hung_after_s and thread not in self._hung
            }
            self._hung.update(hung)
        return list(hung.values())
