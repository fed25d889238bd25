"""Requests to an engine of one fake model, without HTTP."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.engine.admission import QueueLimits
from service.engine.engine import Engine
from service.engine.items import EngineRequest, ItemOutput
from service.engine.plan import AttentionPlan, TokenEmbeddingPlan
from service.engine.waiting_queue import BatchLimits
from service.ops.metrics import Metrics
from tests.polling import WAIT_TIMEOUT_S
from tests.service.engine.fakes import FakeItem, FakeModel

POOLED = AttentionPlan(reduce="rollout", query="pool", layers=(), heads=(), prefix=0, max_heads=1)
ALL_QUERIES = AttentionPlan(reduce="rollout", query="all", layers=(), heads=(), prefix=0, max_heads=1)
VECTORS = TokenEmbeddingPlan(width=2)


def run_engine(model: FakeModel, max_queue_tokens: int, **options: float) -> Iterator[Engine]:
    limits = QueueLimits(max_queue_tokens, attention_bytes=1_000, small_request_tokens=10)
    batches = {"fake": BatchLimits(tokens=100, attention_elements=10_000)}
    engine = Engine({"fake": model}, limits=limits, batch_limits=batches, metrics=Metrics(), **options)  # type: ignore[arg-type]
    yield engine
    model.gate.set()
    engine.close()


def make_items(*lengths: int, value: int = 1) -> list[FakeItem]:
    return [FakeItem(np.full(n, value, dtype=np.int64)) for n in lengths]


@dataclass
class SubmittedRequest:
    """A submitted request."""

    engine: Engine
    ticket: EngineRequest

    async def wait(self) -> list[ItemOutput]:
        return await self.engine.results(self.ticket)


def submit(
    engine: Engine,
    items: list[FakeItem],
    attention: AttentionPlan | None = None,
    timeout_s: float = WAIT_TIMEOUT_S,
    *,
    vectors: TokenEmbeddingPlan | None = None,
) -> SubmittedRequest:
    ticket = engine.create_request(deadline=time.monotonic() + timeout_s)
    engine.submit(ticket, "fake", items, attention, token_embeddings=vectors)
    return SubmittedRequest(engine, ticket)


def occupy_engine(model: FakeModel, engine: Engine) -> SubmittedRequest:
    """Occupy the engine with one item until the gate opens, so that what follows waits together."""
    model.gate.clear()
    request = submit(engine, make_items(1))
    model.wait_for_run()
    return request
