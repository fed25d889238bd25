"""Requests to an engine of one fake model, without HTTP."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.engine.items import ItemResult, Ticket
from service.engine.lengths import BatchLimits
from service.engine.plan import AttentionPlan, VectorPlan
from service.metrics import Metrics
from tests.service.engine.fakes import FakeItem, FakeModel
from tests.waiting import PATIENCE_S

POOLED = AttentionPlan(reduce="rollout", query="pool", layers=(), heads=(), prefix=0, widest=1)
EVERYONE = AttentionPlan(reduce="rollout", query="all", layers=(), heads=(), prefix=0, widest=1)
VECTORS = VectorPlan(width=2)


def running(model: FakeModel, max_queue_tokens: int, **options: float) -> Iterator[Engine]:
    limits = QueueLimits(max_queue_tokens, attention_bytes=1_000, small_tokens=10)
    batches = {"fake": BatchLimits(tokens=100, cells=10_000)}
    engine = Engine({"fake": model}, limits=limits, batches=batches, metrics=Metrics(), **options)  # type: ignore[arg-type]
    yield engine
    model.gate.set()
    engine.close()


def ids(*lengths: int, value: int = 1) -> list[FakeItem]:
    return [FakeItem(np.full(n, value, dtype=np.int64)) for n in lengths]


@dataclass
class Request:
    """A submitted request."""

    engine: Engine
    ticket: Ticket

    async def wait(self) -> list[ItemResult]:
        return await self.engine.results(self.ticket)


def submit(
    engine: Engine,
    items: list[FakeItem],
    attention: AttentionPlan | None = None,
    timeout_s: float = PATIENCE_S,
    *,
    vectors: VectorPlan | None = None,
) -> Request:
    ticket = engine.ticket(deadline=time.monotonic() + timeout_s)
    engine.submit(ticket, "fake", items, attention, vectors=vectors)
    return Request(engine, ticket)


def hold(model: FakeModel, engine: Engine) -> Request:
    """Occupy the engine with one item until the gate opens, so that what follows waits together."""
    model.gate.clear()
    request = submit(engine, ids(1))
    model.enter()
    return request
