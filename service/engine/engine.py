"""The engine: a bounded queue, and one thread that empties it batch by batch.

A batch is taken the moment the thread is free; there is no waiting window. A batch that fails is run again in halves,
so that a bad one costs only its own request. The thread can only end by `close` or by a fault; either way
every waiting request is answered and `alive` says so.
"""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from models.contract import tensors
from models.contract.arrays import Data, Floats
from models.preprocess.prepared import Prepared
from service.engine.items import Item, ItemResult, Ticket
from service.engine.lanes import BatchLimits, Lane, Lanes
from service.engine.plan import AttentionPlan
from service.errors import DeadlineExceeded, HeadlightError, InferenceFailed, NotReady, Overloaded
from service.metrics import Metrics


class Runner(Protocol):
    """What the engine needs of a model: one batch of items' data turned into named arrays."""

    def run(self, items: Sequence[Data], outputs: Sequence[str], heads: Sequence[int]) -> dict[str, Floats]: ...


class Engine:
    """Serves several models with one thread. `submit` from the event loop; everything else happens on the thread."""

    def __init__(
        self, models: Mapping[str, Runner], *, limits: BatchLimits, max_queue_tokens: int, metrics: Metrics
    ) -> None:
        self._models = models
        self._limits = limits
        self._max_queue_tokens = max_queue_tokens
        self._metrics = metrics
        self._lanes = Lanes()
        self._changed = threading.Condition()
        self._closing = False
        self._running: list[Item] = []
        self._thread = threading.Thread(target=self._work, name="headlight-engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """The thread is at work. False once it was closed or has died."""
        return self._thread.is_alive()

    def submit(
        self, model: str, items: Sequence[Prepared], attention: AttentionPlan | None, *, deadline: float
    ) -> Ticket:
        """Queue one request's items; `deadline` is on `time.monotonic`'s clock.

        Raises Overloaded when the queue is full (a request larger than the queue is taken when it is empty), and
        NotReady when the engine is closing.
        """
        lane = Lane(model, (tensors.EMBEDDING,))
        if attention:
            lane = Lane(model, (tensors.EMBEDDING, *attention.outputs), attention.heads)
        ticket = Ticket(len(items), deadline=deadline, loop=asyncio.get_running_loop())
        tokens = sum(item.positions for item in items)
        with self._changed:
            if self._closing or not self.alive:
                raise NotReady("the server is stopping")
            if self._lanes.tokens and self._lanes.tokens + tokens > self._max_queue_tokens:
                self._metrics.shed.labels("overloaded").inc(len(items))
                raise Overloaded("the queue is full")
            self._lanes.add(lane, [Item(item, attention, ticket, i) for i, item in enumerate(items)])
            self._metrics.queue_items.set(self._lanes.items)
            self._changed.notify()
        return ticket

    def close(self) -> None:
        """Finish what is queued, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while self._serve_one():
                pass
        finally:
            with self._changed:
                self._closing = True
                for item in [*self._running, *self._lanes.all()]:
                    item.ticket.fail(NotReady("the engine has stopped"))

    def _serve_one(self) -> bool:
        """Serve one batch and forget it; False when there is nothing left to serve."""
        batch = self._next_batch()
        if batch is None:
            return False
        self._running = batch[1]
        self._run(*batch)
        self._running = []
        return True

    def _next_batch(self) -> tuple[Lane, list[Item]] | None:
        """Wait for work; None when the engine is closing and nothing is left."""
        with self._changed:
            while True:
                self._drop_expired()
                self._metrics.queue_items.set(self._lanes.items)
                if self._lanes.items:
                    lane, batch = self._lanes.take(self._limits)
                    self._metrics.queue_items.set(self._lanes.items)
                    return lane, batch
                if self._closing:
                    return None
                self._changed.wait()

    def _drop_expired(self) -> None:
        self._lanes.remove_closed()
        expired = self._lanes.expired(time.monotonic())
        for item in expired:
            item.ticket.fail(DeadlineExceeded("the request waited past its deadline"))
        self._metrics.shed.labels("deadline").inc(len(expired))
        self._lanes.remove_closed()

    def _run(self, lane: Lane, items: list[Item]) -> None:
        """Run one batch and hand out its results; on failure run its halves."""
        model = self._models[lane.model]
        began = time.monotonic()
        try:
            arrays = model.run([item.prepared.data for item in items], lane.outputs, lane.heads)
        except InferenceFailed as error:
            if len(items) == 1:
                items[0].ticket.fail(error)
            else:
                middle = len(items) // 2
                self._run(lane, items[:middle])
                self._run(lane, items[middle:])
            return
        self._observe(lane.model, items, began)
        for row, item in enumerate(items):
            _hand_out(item, arrays, row)

    def _observe(self, model: str, items: list[Item], began: float) -> None:
        took = time.monotonic() - began
        self._metrics.inference_seconds.labels(model).observe(took)
        self._metrics.batch_items.labels(model).observe(len(items))
        self._metrics.batch_tokens.labels(model).observe(sum(item.positions for item in items))
        for item in items:
            self._metrics.queue_seconds.labels(model).observe(began - item.enqueued)


def _hand_out(item: Item, arrays: Mapping[str, Floats], row: int) -> None:
    result = _result(item, arrays, row)
    if isinstance(result, HeadlightError):
        item.ticket.fail(result)
    else:
        item.ticket.fill(item.index, result)


def _result(item: Item, arrays: Mapping[str, Floats], row: int) -> ItemResult | InferenceFailed:
    """The item's own part of a batch, copied out; a non-finite value is this item's failure alone."""
    embedding = arrays[tensors.EMBEDDING][row].copy()
    attention = None if item.attention is None else item.attention.cut(arrays, row, item.positions)
    finite = np.isfinite(embedding).all() and (attention is None or np.isfinite(attention).all())
    return ItemResult(embedding, attention) if finite else InferenceFailed("the model gave a value that is not finite")
