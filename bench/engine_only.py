"""Measurement of the engine without HTTP: clients in the same process, preprocessed inputs."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

from models.preprocess.model_input import ModelInput
from service.engine.engine import Engine
from service.engine.plan import AttentionPlan

DEADLINE_S = 600


def closed_loop(
    engine: Engine,
    model: str,
    requests: Sequence[Sequence[ModelInput]],
    attention: AttentionPlan | None,
    *,
    clients: int,
    seconds: float,
) -> float:
    """Items a second, when each client submits its next request as its last is answered."""

    async def client(pending: Iterator[Sequence[ModelInput]], until: float) -> int:
        completed = 0
        while time.monotonic() < until:
            request = next(pending)
            ticket = engine.create_request(deadline=time.monotonic() + DEADLINE_S)
            engine.submit(ticket, model, request, attention)
            completed += len(await engine.results(ticket))
        return completed

    async def run() -> float:
        pending, began = cycle(requests), time.monotonic()
        done = await asyncio.gather(*(client(pending, began + seconds) for _ in range(clients)))
        return sum(done) / (time.monotonic() - began)

    return asyncio.run(run())
