"""The engine: a bounded queue, and threads that process it with dynamic batching.

A free thread takes a batch immediately; only `service.engine.batch_delay` can delay it. A batch that fails is run again
in halves, so that a bad item fails only its own request. A batch that does not end is abandoned after `hung_after_s`:
its requests fail, another thread takes over, and `alive` is False until the batch ends. A fault in a thread, or an
unusable model, fails every request and sets `alive` to False.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future

from models.preprocess.model_input import ModelInput
from service.engine.admission import QueueLimits
from service.engine.batch_delay import BatchDelayPolicy
from service.engine.batch_executor import Backend, BatchExecutor
from service.engine.cache import EmbeddingCache
from service.engine.items import EngineRequest, ItemOutput
from service.engine.length_index import BatchLimits
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.engine.scheduler import Scheduler
from service.engine.workers import Workers
from service.ops.metrics import Metrics


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
        self._scheduler = Scheduler(limits, batch_limits, metrics, EmbeddingCache(cache_bytes), batch_delay)
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
    ) -> None:
        """Queue one request's items, from any thread. Raises Overloaded when the queue is full, or NotReady."""
        self._scheduler.add_request(request, model, items, attention, token_embeddings)

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
