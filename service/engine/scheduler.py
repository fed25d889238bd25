"""The queue between the requests and the threads that run batches, under one lock.

Identical items that wait together wait as one.
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from models.preprocess.model_input import ModelInput
from service.engine.admission import Admission, QueueLimits
from service.engine.batch_delay import BatchDelayPolicy
from service.engine.batch_executor import UnbatchedResult
from service.engine.completion import CompletionDispatcher, OutputCache
from service.engine.items import Batch, BatchKey, EngineRequest, QueueItem, Waiter
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.engine.waiting_queue import BatchLimits, WaitingQueue
from service.errors import HeadlightError, NotReady, Overloaded
from service.ops.metrics import Metrics

CONTENTION_WINDOW_S = 0.1
"""Time after a contention in which no batch counts as alone: clients that each wait for their response leave moments in
which the queue is empty, and a batch spread over the machine would delay the next."""


class InFlightBatches:
    """Not thread-safe: the queue holds its lock around each call."""

    def __init__(self) -> None:
        self._batches: set[Batch] = set()
        self._last_contention = -math.inf

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    @property
    def tokens(self) -> int:
        return sum(batch.tokens for batch in self._batches)

    def mark_contended(self, now: float) -> None:
        """When a request came, or a batch was taken, something else ran or waited."""
        self._last_contention = now

    def is_uncontended(self, now: float) -> bool:
        """No batch runs, and for a while none had company."""
        return not self._batches and now - self._last_contention > CONTENTION_WINDOW_S

    def begin(self, batch: Batch) -> None:
        self._batches.add(batch)

    def end(self, batch: Batch) -> None:
        """Remove a batch that has ended or was given up."""
        self._batches.discard(batch)


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


class Scheduler:
    """Every method may be called from any thread. Tickets are answered on the event loops that they came from."""

    def __init__(
        self,
        limits: QueueLimits,
        batch_limits: Mapping[str, BatchLimits],
        metrics: Metrics,
        cache: OutputCache,
        batch_delay: BatchDelayPolicy,
    ) -> None:
        """`batch_limits`: how large a batch of each model may be; `batch_delay`: whether a small one waits to grow."""
        self._batch_limits = batch_limits
        self._metrics = metrics
        self._waiting = WaitingQueue()
        self._admission = Admission(limits)
        self._completions = CompletionDispatcher(self._waiting, self._admission, cache, metrics)
        self._batch_delay = batch_delay
        self._delaying = False
        self._in_flight = InFlightBatches()
        self._closing = False
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._deadlines = DeadlineTimer(self._waiting, lock)
        metrics.queue_size.set_function(lambda: self._waiting.items)

    @property
    def open(self) -> bool:
        """Requests are taken."""
        return not self._closing

    def check_capacity(self, model: str, items: int, tokens: int) -> None:
        """Raise Overloaded if the queue has no capacity for `tokens`, or NotReady, before the `items` are prepared."""
        with self._changed:
            self._check_open()
            if not self._admission.has_capacity(tokens, waiting_tokens=self._waiting.tokens):
                self._metrics.rejected.labels("overloaded", model).inc(items)
                raise self._admission.overloaded(self._outstanding_tokens)

    def add_request(
        self,
        request: EngineRequest,
        model: str,
        prepared: Sequence[ModelInput],
        attention: AttentionPlan | None = None,
        token_embeddings: TokenEmbeddingPlan | None = None,
        *,
        sparse_tokens: bool = False,
    ) -> None:
        """Queue one request's items. Raises Overloaded or NotReady."""
        key = BatchKey.from_plans(model, attention, token_embeddings, sparse_tokens=sparse_tokens)
        plans = [plan for plan in (attention, token_embeddings) if plan]
        reserved_bytes = sum(plan.response_bytes(item.num_tokens) for plan in plans for item in prepared)
        items = [QueueItem(key, item, [Waiter(request, i, attention)]) for i, item in enumerate(prepared)]
        tokens = sum(item.positions for item in items)
        with self._changed:
            self._check_open()
            if request.done:
                return
            try:
                self._admission.admit(
                    request,
                    tokens,
                    reserved_bytes,
                    waiting_tokens=self._waiting.tokens,
                    outstanding_tokens=self._outstanding_tokens,
                )
            except Overloaded:
                self._metrics.rejected.labels("overloaded", model).inc(len(items))
                raise
            request.set_items(prepared)
            uncached = self._completions.serve_from_cache(items) if key.output_only else items
            now = time.monotonic()
            if self._busy:
                self._in_flight.mark_contended(now)
            else:
                self._admission.throughput.mark_busy(now)
            if not uncached:
                return
            self._waiting.add(uncached)
            self._batch_delay.on_request(now)
            if not self._delaying or self._delay_deadline <= now:
                self._changed.notify()
            self._deadlines.on_new_deadline(request.deadline)

    def next_batch(self) -> Batch | None:
        """Wait for a batch; None when the queue is closing and nothing is left."""
        with self._changed:
            while True:
                self._completions.expire(self._outstanding_tokens)
                if self._waiting.items:
                    if (left_s := self._delay_deadline - time.monotonic()) <= 0:
                        return self._take_batch()
                    self._delay_batch(left_s)
                elif self._closing:
                    return None
                else:
                    self._changed.wait()

    def complete(self, batch: Batch, results: Sequence[UnbatchedResult]) -> None:
        """Pass each of the batch's items its result."""
        with self._changed:
            now = time.monotonic()
            self._admission.throughput.record(batch.tokens, now)
            self._batch_delay.on_batch_done(self._completions.dispatch(batch.items, results), now)
            self._in_flight.end(batch)  # only now: after an error, requests without a result must still be found
            self._completions.notify()  # last, because the event loop then contends for the GIL and the lock

    def fail_batch(self, batch: Batch, error: HeadlightError) -> None:
        """Fail a batch's requests with `error`; a later result is ignored."""
        with self._changed:
            self._in_flight.end(batch)
            self._completions.fail(batch.items, error)

    def cancel(self, request: EngineRequest) -> None:
        """Cancel a request; queued items that no other request waits for are not run."""
        with self._changed:
            self._completions.cancel(request)

    def on_response_sent(self, request: EngineRequest) -> None:
        """Release the attention bytes of a request whose response is sent."""
        self._batch_delay.on_response_sent(time.monotonic())
        if request.attention_bytes:
            with self._changed:
                self._admission.on_response_sent(request)

    def expire(self, max_wait_s: float, stopped: threading.Event) -> None:
        """Wait for the next deadline, or so long, and answer the requests whose deadline has passed then: for when no
        thread is free to notice. What sets `stopped` must `wake` who waits.
        """
        with self._changed:
            self._deadlines.wait_for_next(max_wait_s, stopped)
            self._completions.expire(self._outstanding_tokens)

    def wake(self) -> None:
        """End a wait for deadlines."""
        with self._changed:
            self._deadlines.wake()

    def close(self) -> None:
        """Reject new requests; queued items still run."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def abort_all(self, error: HeadlightError) -> None:
        """Close, and fail all queued and running requests with `error`."""
        self.close()
        with self._changed:
            self._completions.fail(
                [*self._waiting, *(item for batch in self._in_flight for item in batch.items)], error
            )

    def _take_batch(self) -> Batch:
        now = time.monotonic()
        exclusive = self._in_flight.is_uncontended(now)
        max_tokens = math.inf if exclusive else self._batch_delay.fair_share(self._waiting.tokens, len(self._in_flight))
        items = self._waiting.take_batch(self._batch_limits, max_tokens, self._batch_delay.preferred_tokens)
        if self._busy:
            self._in_flight.mark_contended(now)
            exclusive = False
        batch = Batch(items, exclusive=exclusive)
        for item in items:
            for waiter in item.waiters:
                waiter.request.mark_started(now)
        self._in_flight.begin(batch)
        if self._waiting.items:
            self._changed.notify()  # each put wakes one thread; others take the rest of a large request
        return batch

    def _delay_batch(self, seconds: float) -> None:
        """Wait for more to come, or for so long."""
        self._delaying = True  # and no other thread: all are busy
        try:
            self._changed.wait(seconds)
        finally:
            self._delaying = False

    @property
    def _delay_deadline(self) -> float:
        """Nothing waits past a deadline."""
        deadline = self._batch_delay.deadline(self._waiting.tokens, len(self._in_flight))
        return -math.inf if self._closing or deadline >= self._waiting.next_deadline() else deadline

    @property
    def _busy(self) -> bool:
        """Something runs or waits."""
        return len(self._in_flight) > 0 or self._waiting.items > 0

    def _check_open(self) -> None:
        if self._closing:
            raise NotReady("the server is shutting down")

    @property
    def _outstanding_tokens(self) -> int:
        """Tokens that wait or run."""
        return self._waiting.tokens + self._in_flight.tokens
