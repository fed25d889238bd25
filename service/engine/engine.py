"""The engine: a bounded queue, and threads that empty it batch by batch.

A batch is taken the moment a thread is free; there is no waiting window, save what `gathering` tells of. A batch
that fails is run again in halves, so that a bad one costs only its own request. A batch that does not end is given up
after a while: its requests are answered, another thread takes over, and `alive` is False until it does end. A fault in
a thread, or a model that runs nothing any more, answers every request, and `alive` says so.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future

from models.preprocess.prepared import Prepared
from service.engine.admission import QueueLimits
from service.engine.cache import EmbeddingCache
from service.engine.gathering import Gathering
from service.engine.items import ItemResult, Ticket
from service.engine.lengths import BatchLimits
from service.engine.plan import AttentionPlan, VectorPlan
from service.engine.queue import Queue
from service.engine.running import Runner, Running
from service.engine.workers import Workers
from service.metrics import Metrics


class Engine:
    """Serves several models with `in_flight` batches at a time."""

    def __init__(
        self,
        models: Mapping[str, Runner],
        *,
        limits: QueueLimits,
        batches: Mapping[str, BatchLimits],
        metrics: Metrics,
        in_flight: int = 1,
        gather_tokens: int = 0,
        stuck_after_s: float = 60.0,
        cache_bytes: int = 0,
    ) -> None:
        """While all threads but one are at work, a batch of fewer than `gather_tokens` may wait to grow; while several
        are free, a batch of more leaves the others their part."""
        gathering = Gathering(gather_tokens, in_flight)
        self._queue = Queue(limits, batches, metrics, EmbeddingCache(cache_bytes), gathering)
        running = Running(models, metrics)
        self._workers = Workers(self._queue, running, count=in_flight, stuck_after_s=stuck_after_s)

    @property
    def alive(self) -> bool:
        """All threads are at work. False while a batch is stuck, and once it was closed or a thread has died."""
        return self._workers.alive

    @property
    def accepting(self) -> bool:
        """Requests are taken, as they are while a batch is stuck: another thread has taken over."""
        return self._queue.open

    def check_room(self, items: int, tokens: int) -> None:
        """Raises Overloaded when there is no room for `tokens`, or NotReady: to know before `items` are prepared."""
        self._queue.check_room(items, tokens)

    def ticket(self, *, deadline: float) -> Ticket:
        """A place for one request's results, on the running event loop; `deadline` is on `time.monotonic`'s clock."""
        return Ticket(deadline=deadline, loop=asyncio.get_running_loop())

    def submit(
        self,
        ticket: Ticket,
        model: str,
        items: Sequence[Prepared],
        attention: AttentionPlan | None = None,
        *,
        vectors: VectorPlan | None = None,
    ) -> None:
        """Queue one request's items, from any thread. Raises Overloaded when the queue is full, or NotReady."""
        self._queue.put(ticket, model, items, attention, vectors)

    def submit_from(self, threads: Executor, ticket: Ticket, submit: Callable[[], None]) -> None:
        """Let one of `threads` prepare the items and `submit` them; what that raises is the ticket's outcome.

        The event loop is not passed on the way from there to the queue.
        """

        def note(done: Future[None]) -> None:
            if error := done.exception():
                ticket.loop.call_soon_threadsafe(ticket.settle, error)

        threads.submit(submit).add_done_callback(note)

    async def results(self, ticket: Ticket) -> list[ItemResult]:
        """The results in the request's order. When the wait is cancelled, the request leaves the queue unexecuted."""
        try:
            return await ticket.future
        finally:
            if not ticket.closed:
                self._queue.withdraw(ticket)

    def sent(self, ticket: Ticket) -> None:
        """The request's answer has been handed over. Until then the attention in it counts as promised."""
        self._queue.sent(ticket)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        self._queue.close()
        self._workers.join()
