"""Completion of requests with results, errors, or exceeded deadlines; each request is completed once.

Completions of a batch are posted to the event loop once, at the end; waking it earlier would make it contend for the
GIL with the thread that dispatches the remaining results.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from models.artifact.arrays import Floats
from service.engine.admission import Admission
from service.engine.batch_executor import UnbatchedResult
from service.engine.items import EngineRequest, ItemOutput, QueueItem, Waiter
from service.engine.waiting_queue import WaitingQueue
from service.errors import DeadlineExceeded, HeadlightError, InferenceFailed
from service.ops.metrics import Metrics

ENTRY_BYTES = 400
"""Overhead of an entry without its vector: two objects, the key, and its position in the order."""

CacheKey = tuple[str, bytes]
"""Model, and digest of the graph's input."""


class OutputCache:
    """LRU cache of main outputs, of at most `max_bytes`; 0 disables it.

    Not thread-safe: the engine holds its lock around each call.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._outputs: OrderedDict[CacheKey, Floats] = OrderedDict()

    def get(self, key: CacheKey) -> Floats | None:
        output = self._outputs.get(key)
        if output is not None:
            self._outputs.move_to_end(key)
        return output

    def put(self, key: CacheKey, output: Floats) -> None:
        """`output` must be its own array: a view would keep a batch alive."""
        if key in self._outputs or _entry_bytes(output) > self.max_bytes:
            return
        self._outputs[key] = output
        self._bytes += _entry_bytes(output)
        while self._bytes > self.max_bytes:
            _, evicted = self._outputs.popitem(last=False)
            self._bytes -= _entry_bytes(evicted)


def _entry_bytes(output: Floats) -> int:
    return output.nbytes + ENTRY_BYTES


Completion = tuple[EngineRequest, HeadlightError | None]
"""Called with the error, or None if there are results."""


class CompletionDispatcher:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self, waiting: WaitingQueue, admission: Admission, cache: OutputCache, metrics: Metrics) -> None:
        self._waiting = waiting
        self._admission = admission
        self._cache = cache
        self._metrics = metrics
        self._pending: list[Completion] = []

    def serve_from_cache(self, items: Sequence[QueueItem]) -> Sequence[QueueItem]:
        """Complete cached items, and return the others."""
        if not self._cache.max_bytes:
            return items
        uncached = [item for item in items if not self._serve_from_cache(item)]
        self.notify()
        return uncached

    def expire(self, outstanding_tokens: int) -> None:
        """Answer the requests whose deadline has passed; `outstanding_tokens` tokens wait or run."""
        for request in self._waiting.expired(time.monotonic()):
            model = next((item.batch_key.model for item in request.waiting_items), "")
            self._metrics.rejected.labels("deadline", model).inc(len(request.waiting_items))
            self._waiting.cancel(request)
            wait_s = self._admission.throughput.retry_after_s(outstanding_tokens)
            self._complete(request, DeadlineExceeded("the request exceeded its deadline in the queue", wait_s))
        self.notify()

    def dispatch(self, items: Sequence[QueueItem], results: Sequence[UnbatchedResult]) -> int:
        """Pass each item's result or failure to its waiters. Completed requests are reported to their event loops only
        by `notify`. Returns their number."""
        for item, result in zip(items, results, strict=True):
            if isinstance(result, InferenceFailed):
                self._fail(item, result)
            else:
                self._set_results(item, result)
        return len(self._pending)

    def fail(self, items: Iterable[QueueItem], error: HeadlightError) -> None:
        """Fail all waiters of the items with `error`."""
        for item in items:
            self._fail(item, error)
        self.notify()

    def cancel(self, request: EngineRequest) -> None:
        """Cancel a request; queued items that no other request waits for are dropped."""
        if not request.done:
            self._mark_done(request)
        self._admission.on_response_sent(request)

    def notify(self) -> None:
        """Wake each event loop once for all of its completed requests."""
        completions, self._pending = self._pending, []
        for loop in {request.loop for request, _ in completions}:
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(
                    _resolve_all, [completion for completion in completions if completion[0].loop is loop]
                )

    def _serve_from_cache(self, item: QueueItem) -> bool:
        output = self._cache.get((item.batch_key.model, item.prepared.key))
        model_metrics = self._metrics.for_model(item.batch_key.model)
        (model_metrics.cache_misses if output is None else model_metrics.cache_hits).inc()
        if output is not None:
            self._set_results(item, [(waiter, ItemOutput(output, None)) for waiter in item.waiters])
        return output is not None

    def _set_results(self, item: QueueItem, results: Sequence[tuple[Waiter, ItemOutput]]) -> None:
        if self._cache.max_bytes:
            self._cache.put((item.batch_key.model, item.prepared.key), results[0][1].output)
        for waiter, result in results:
            if not waiter.request.done and waiter.request.set_result(waiter.index, result):
                self._complete(waiter.request)

    def _fail(self, item: QueueItem, error: HeadlightError) -> None:
        for request in {waiter.request for waiter in item.waiters}:
            self._complete(request, error)

    def _complete(self, request: EngineRequest, error: HeadlightError | None = None) -> None:
        """Complete a request once; queued items that no other request waits for are dropped."""
        if request.done:
            return
        self._mark_done(request)
        if error:
            self._admission.on_response_sent(request)
        self._pending.append((request, error))

    def _mark_done(self, request: EngineRequest) -> None:
        request.done = True
        request.finished_at = time.monotonic()
        self._admission.on_completed(request)
        self._waiting.cancel(request)


def _resolve_all(completions: Sequence[Completion]) -> None:
    for request, error in completions:
        request.resolve(error)
