"""The threads that run batches, and the one that watches them."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from models.contract.arrays import Data, Floats
from service.engine.items import Item
from service.engine.queue import Batch, Queue
from service.engine.sharing import Shares, shares
from service.errors import InferenceFailed, NotReady
from service.metrics import Metrics

LONGEST_LOOK_S = 1.0
"""How often the watcher looks, at most."""


class Runner(Protocol):
    """What the engine needs of a model: one batch of items' data turned into named arrays."""

    def run(
        self, items: Sequence[Data], outputs: Sequence[str], heads: Sequence[int], *, alone: bool
    ) -> dict[str, Floats]:
        """`alone`: nothing else runs, so the batch may have the whole machine. Raises InferenceFailed."""
        ...


class Workers:
    """`count` threads. One that is stuck in a batch for `stuck_after_s` is replaced, and ends when the batch does.

    When as many replacements are stuck too, that is a fault: the engine ends, and what runs it must start it anew.
    """

    def __init__(
        self, queue: Queue, models: Mapping[str, Runner], metrics: Metrics, *, count: int, stuck_after_s: float
    ) -> None:
        self._queue = queue
        self._count = count
        self._models = models
        self._metrics = metrics
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
            outcomes = self._run(batch.items, alone=batch.alone)
        finally:
            with self._lock:
                del self._busy[me]
        self._queue.finish(batch, outcomes)

    def _run(self, items: Sequence[Item], *, alone: bool) -> Sequence[Shares]:
        """What became of each item; a batch that fails is run again in halves."""
        lane = items[0].lane
        began = time.monotonic()
        try:
            arrays = self._models[lane.model].run([item.data for item in items], lane.outputs, lane.heads, alone=alone)
            found = shares(items, arrays)
        except (InferenceFailed, MemoryError) as error:
            if len(items) == 1:
                return [error if isinstance(error, InferenceFailed) else InferenceFailed("there is not enough memory")]
            middle = len(items) // 2
            return [*self._run(items[:middle], alone=alone), *self._run(items[middle:], alone=alone)]
        self._observe(items, began)
        return found

    def _observe(self, items: Sequence[Item], began: float) -> None:
        meters = self._metrics.of(items[0].lane.model)
        meters.inference_seconds.observe(time.monotonic() - began)
        meters.batch_items.observe(len(items))
        meters.batch_tokens.observe(sum(item.positions for item in items))
        for item in items:
            meters.queue_seconds.observe(began - item.enqueued)

    def _watch(self) -> None:
        with self._ending_the_engine_on_a_fault():
            while not self._ended.wait(min(LONGEST_LOOK_S, self._stuck_after_s / 4)):
                self._queue.expire()
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
