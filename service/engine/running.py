"""Batches at the graphs: run, and what fails run again in halves, so that a bad item costs nobody else.

One bad item among n is found by 2 log n runs. Of a batch that fails one traceback is logged, however often it is run.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from models.contract.arrays import Data, Floats
from service.engine.items import Item, lane_of
from service.engine.sharing import Shares, shares
from service.errors import InferenceFailed
from service.metrics import Metrics

logger = logging.getLogger(__name__)

SUSPICIOUS = 3
"""Runs of a model that fail in a row before it is looked whether it can run at all."""


class Runner(Protocol):
    """What the engine needs of a model: one batch of items' data turned into named arrays."""

    def run(
        self, items: Sequence[Data], outputs: Sequence[str], heads: Sequence[int], *, alone: bool
    ) -> dict[str, Floats]:
        """`alone`: nothing else runs, so the batch may have the whole machine. Raises InferenceFailed."""
        ...

    def check(self) -> None:
        """Run what is known to run. Raises InferenceFailed."""
        ...


class SessionLost(RuntimeError):
    """A model fails on what it was warmed up with, as after CUDA's sticky errors: nothing runs until it is opened anew,
    which is for a new process to do."""


class Running:
    """Runs batches of several models, from any thread."""

    def __init__(self, models: Mapping[str, Runner], metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics
        self._failed = Counter[str]()
        self._lock = threading.Lock()

    def run(self, items: Sequence[Item], *, alone: bool) -> Sequence[Shares]:
        """What became of each item. Raises SessionLost."""
        found = self._try(items, alone=alone)
        if isinstance(found, InferenceFailed):
            logger.error("%s failed on a batch of %d", items[0].lane.model, len(items), exc_info=found)
            return self._halves(items, found, alone=alone)
        return found

    def _halves(self, items: Sequence[Item], error: InferenceFailed, *, alone: bool) -> Sequence[Shares]:
        if len(items) == 1:
            return [error]
        middle = len(items) // 2
        outcomes: list[Shares] = []
        for half in (items[:middle], items[middle:]):
            found = self._try(half, alone=alone)
            outcomes += self._halves(half, found, alone=alone) if isinstance(found, InferenceFailed) else found
        return outcomes

    def _try(self, items: Sequence[Item], *, alone: bool) -> list[Shares] | InferenceFailed:
        lane = lane_of(items)
        model = self._models[lane.model]
        began = time.monotonic()
        try:
            arrays = model.run([item.data for item in items], lane.outputs, lane.heads, alone=alone)
            found = shares(items, arrays)
        except InferenceFailed as error:
            return self._suspect(lane.model, error)
        except MemoryError:
            return self._suspect(lane.model, InferenceFailed("there is not enough memory"))
        with self._lock:
            del self._failed[lane.model]
        self._observe(items, began)
        return found

    def _suspect(self, name: str, error: InferenceFailed) -> InferenceFailed:
        """Is it the items that fail, or all that is run?"""
        with self._lock:
            self._failed[name] += 1
            if self._failed[name] < SUSPICIOUS:
                return error
            self._failed[name] = 0
        try:
            self._models[name].check()
        except InferenceFailed as lost:
            raise SessionLost(f"{name} runs nothing any more") from lost
        return error

    def _observe(self, items: Sequence[Item], began: float) -> None:
        meters = self._metrics.of(items[0].lane.model)
        meters.inference_seconds.observe(time.monotonic() - began)
        meters.batch_items.observe(len(items))
        meters.batch_tokens.observe(sum(item.positions for item in items))
        for item in items:
            meters.queue_seconds.observe(began - item.enqueued)
