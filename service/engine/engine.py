"""The engine: a bounded queue, and threads that process it with dynamic batching.

A free thread takes a batch immediately; only `service.engine.batch_delay` can delay it. A batch that fails is run again
in halves, so that a bad item fails only its own request. A batch that does not end is abandoned after `hung_after_s`:
its requests fail, another thread takes over, and `alive` is False until the batch ends. A fault in a thread, or an
unusable model, fails every request and sets `alive` to False.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager

from models.preprocess.model_input import ModelInput
from service.engine.admission import QueueLimits
from service.engine.batch_delay import BatchDelayPolicy
from service.engine.batch_executor import Backend, BatchExecutor
from service.engine.completion import OutputCache
from service.engine.items import Batch, EngineRequest, ItemOutput
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.engine.scheduler import Scheduler
from service.engine.waiting_queue import BatchLimits
from service.errors import InferenceFailed, NotReady
from service.ops.metrics import Metrics

WATCHDOG_INTERVAL_S = 1.0
"""Maximum interval of the watchdog's checks; a deadline shortens it."""


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
                del batch  # otherwise a waiting thread would keep its last requests alive
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


class Engine:
    """Engine that runs several models, with `concurrent_batches` batches at a time."""

    def __init__(
        self,
        models: Mapping[str, Backend],
        *,
        limits: QueueLimits,
        batch_limits: Mapping[str, BatchLimits],
        metrics: Metrics,
        concurrent_batches: int = 1,
        preferred_batch_tokens: int = 0,
        hung_after_s: float = 60.0,
        cache_bytes: int = 0,
    ) -> None:
        """While all threads but one are at work, a batch of fewer than `preferred_batch_tokens` may wait to grow; while
        several are free, a batch of more leaves the others their part."""
        batch_delay = BatchDelayPolicy(preferred_batch_tokens, concurrent_batches)
        self._scheduler = Scheduler(limits, batch_limits, metrics, OutputCache(cache_bytes), batch_delay)
        batch_executor = BatchExecutor(models, metrics)
        self._workers = Workers(self._scheduler, batch_executor, count=concurrent_batches, hung_after_s=hung_after_s)

    @property
    def alive(self) -> bool:
        """True if all threads work; False while a batch is stuck, after closing, and after a thread has died."""
        return self._workers.alive

    @property
    def accepting(self) -> bool:
        """True while requests are accepted, also while a batch is stuck: another thread has taken over."""
        return self._scheduler.open

    def check_capacity(self, model: str, items: int, tokens: int) -> None:
        """Raise Overloaded if the queue has no capacity for `tokens`, or NotReady, before `items` are prepared."""
        self._scheduler.check_capacity(model, items, tokens)

    def create_request(self, *, deadline: float) -> EngineRequest:
        """Create a request on the running event loop; `deadline` is on `time.monotonic`'s clock."""
        return EngineRequest(deadline=deadline, loop=asyncio.get_running_loop())

    def submit(
        self,
        request: EngineRequest,
        model: str,
        items: Sequence[ModelInput],
        attention: AttentionPlan | None = None,
        *,
        token_embeddings: TokenEmbeddingPlan | None = None,
        sparse_tokens: bool = False,
    ) -> None:
        """Queue one request's items, from any thread. Raises Overloaded when the queue is full, or NotReady."""
        self._scheduler.add_request(request, model, items, attention, token_embeddings, sparse_tokens=sparse_tokens)

    def submit_async(self, executor: Executor, request: EngineRequest, submit: Callable[[], None]) -> None:
        """Let one of `executor` prepare the items and `submit` them; what that raises is the ticket's outcome.

        The event loop is not passed on the way from there to the queue.
        """

        def on_done(submission: Future[None]) -> None:
            if error := submission.exception():
                request.loop.call_soon_threadsafe(request.resolve, error)

        executor.submit(submit).add_done_callback(on_done)

    async def results(self, request: EngineRequest) -> list[ItemOutput]:
        """Await the results in the request's order. Cancelling the wait cancels the request."""
        try:
            return await request.future
        finally:
            if not request.done:
                self._scheduler.cancel(request)

    def on_response_sent(self, request: EngineRequest) -> None:
        """Release the request's attention bytes: its response has been sent."""
        self._scheduler.on_response_sent(request)

    def close(self) -> None:
        """Finish the queued requests, then end the threads."""
        self._scheduler.close()
        self._workers.join()
