"""What passes through the engine: items, their results, and the ticket that a request waits on."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from models.contract.arrays import Floats
from models.preprocess.prepared import Prepared
from service.engine.plan import AttentionPlan
from service.errors import HeadlightError


@dataclass(frozen=True, slots=True)
class ItemResult:
    """`embedding` is `[e]`, pooled and not normalised; `attention` has the shape that its query gives."""

    embedding: Floats
    attention: Floats | None


class Ticket:
    """One request's wait for all of its items. Filled by the engine's thread, awaited on the event loop.

    `deadline` bounds the wait for the first of them to run; once `begun`, a request is finished.
    The first failed item fails the request; what is still queued of it is then dropped unexecuted.
    """

    def __init__(self, count: int, *, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = deadline
        self.served_positions = 0
        self._loop = loop
        self._future: asyncio.Future[list[ItemResult]] = loop.create_future()
        self._results: list[ItemResult | None] = [None] * count
        self._missing = count
        self._closed = False

    @property
    def begun(self) -> bool:
        """One of its items has been taken into a batch."""
        return self.served_positions > 0

    @property
    def closed(self) -> bool:
        """Nobody waits any more: answered, failed or cancelled."""
        return self._closed

    def fill(self, index: int, result: ItemResult) -> None:
        """Hand in one item's result; the last one answers the request."""
        self._results[index] = result
        self._missing -= 1
        if self._missing == 0:
            results = [result for result in self._results if result is not None]
            self._close(lambda: self._future.set_result(results))

    def fail(self, error: HeadlightError) -> None:
        """Answer the request with `error`. Later results and errors of it are ignored."""
        self._close(lambda: self._future.set_exception(error))

    async def wait(self) -> list[ItemResult]:
        """The results in the request's order. A cancelled wait withdraws the request's items from the queue."""
        try:
            return await self._future
        finally:
            self._closed = True

    def _close(self, settle: Callable[[], None]) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: None if self._future.done() else settle())


@dataclass(slots=True)
class Item:
    """One text or image on its way: what its graph takes, what is asked of it, and where its result goes."""

    prepared: Prepared
    attention: AttentionPlan | None
    ticket: Ticket
    index: int
    enqueued: float = field(default_factory=time.monotonic)

    @property
    def positions(self) -> int:
        """Its cost: the length of the sequence that it is."""
        return self.prepared.positions
