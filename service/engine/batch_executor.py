"""Execution of batches: a failed batch is run again in halves, so that a bad item fails only its own request.

One bad item among n is found in 2 log n runs. A failing batch logs one traceback, however often it is run.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from service.engine.items import ItemOutput, QueueItem, Waiter, batch_key
from service.engine.plan import AttentionWeights, TokenEmbeddingPlan
from service.errors import InferenceFailed
from service.ops.metrics import Metrics

UnbatchedResult = list[tuple[Waiter, ItemOutput]] | InferenceFailed


def unbatch(model: "Backend", items: Sequence[QueueItem], arrays: Mapping[str, Floats]) -> list[UnbatchedResult]:
    """Return for each item the results of its waiters; a value that is not finite is the failure of its own item
    alone."""
    all_finite = all(bool(np.isfinite(array).all()) for array in arrays.values())
    return [_unbatch_item(model, item, arrays, row, all_finite) for row, item in enumerate(items)]


def _unbatch_item(
    model: "Backend", item: QueueItem, arrays: Mapping[str, Floats], row: int, all_finite: bool
) -> UnbatchedResult:
    output = model.item_output(arrays, row, item.positions)
    token_embeddings = (
        TokenEmbeddingPlan.extract(arrays, row, item.positions) if tensors.TOKEN_EMBEDDINGS in arrays else None
    )
    results = [
        (waiter, ItemOutput(output, _attention(waiter, arrays, row), token_embeddings)) for waiter in item.waiters
    ]
    if all_finite or all(map(_is_finite, (result for _, result in results))):
        return results
    return InferenceFailed("the model returned a non-finite value")


def _attention(waiter: Waiter, arrays: Mapping[str, Floats], row: int) -> AttentionWeights | None:
    return (
        None
        if waiter.attention is None
        else waiter.attention.extract(arrays, row, waiter.request.prepared[waiter.index])
    )


def _is_finite(result: ItemOutput) -> bool:
    attention = result.attention.values if result.attention else None
    arrays = (result.output, attention, result.token_embeddings)
    return all(bool(np.isfinite(array).all()) for array in arrays if array is not None)


logger = logging.getLogger(__name__)

FAILURES_BEFORE_SELF_TEST = 3
"""Consecutive failed runs of a model before its self-test."""


class Backend(Protocol):
    """Interface of a model to the engine: a batch of items' data in, named arrays out."""

    def run(
        self, items: Sequence[InputArray], outputs: Sequence[str], heads: Sequence[int], *, exclusive: bool
    ) -> dict[str, Floats]:
        """`exclusive`: nothing else runs, so the batch may have the whole machine. Raises InferenceFailed."""
        ...

    def item_output(self, arrays: Mapping[str, Floats], row: int, positions: int) -> Floats:
        """Return the main output of the item in that row, of as many positions, as an array of its own."""
        ...

    def self_test(self) -> None:
        """Run the warm-up input. Raises InferenceFailed."""
        ...


class ModelUnusable(RuntimeError):
    """A model that fails on its warm-up input, as after CUDA's sticky errors: it must be reopened in a new process."""


class BatchExecutor:
    """Executor of batches of several models, callable from any thread."""

    def __init__(self, models: Mapping[str, Backend], metrics: Metrics) -> None:
        self._models = models
        self._metrics = metrics
        self._consecutive_failures = Counter[str]()
        self._lock = threading.Lock()

    def run(self, items: Sequence[QueueItem], *, exclusive: bool) -> Sequence[UnbatchedResult]:
        """Run a batch and return each item's result. Raises ModelUnusable."""
        results = self._run_once(items, exclusive=exclusive)
        if isinstance(results, InferenceFailed):
            logger.error(
                "inference failed: model=%s batch_size=%d", items[0].batch_key.model, len(items), exc_info=results
            )
            return self._bisect(items, results, exclusive=exclusive)
        return results

    def _bisect(
        self, items: Sequence[QueueItem], error: InferenceFailed, *, exclusive: bool
    ) -> Sequence[UnbatchedResult]:
        if len(items) == 1:
            return [error]
        middle = len(items) // 2
        results: list[UnbatchedResult] = []
        for half in (items[:middle], items[middle:]):
            half_results = self._run_once(half, exclusive=exclusive)
            results += (
                self._bisect(half, half_results, exclusive=exclusive)
                if isinstance(half_results, InferenceFailed)
                else half_results
            )
        return results

    def _run_once(self, items: Sequence[QueueItem], *, exclusive: bool) -> list[UnbatchedResult] | InferenceFailed:
        key = batch_key(items)
        model = self._models[key.model]
        started = time.monotonic()
        try:
            arrays = model.run([item.data for item in items], key.outputs, key.heads, exclusive=exclusive)
            results = unbatch(model, items, arrays)
        except InferenceFailed as error:
            return self._check_model(key.model, error)
        except MemoryError:
            return self._check_model(key.model, InferenceFailed("there is not enough memory"))
        with self._lock:
            del self._consecutive_failures[key.model]
        self._observe(items, started)
        return results

    def _check_model(self, name: str, error: InferenceFailed) -> InferenceFailed:
        """Is it the items that fail, or all that is run?"""
        with self._lock:
            self._consecutive_failures[name] += 1
            if self._consecutive_failures[name] < FAILURES_BEFORE_SELF_TEST:
                return error
            self._consecutive_failures[name] = 0
        try:
            self._models[name].self_test()
        except InferenceFailed as lost:
            raise ModelUnusable(f"{name} fails its self-test; restart the process") from lost
        return error

    def _observe(self, items: Sequence[QueueItem], started: float) -> None:
        model_metrics = self._metrics.for_model(items[0].batch_key.model)
        model_metrics.inference_seconds.observe(time.monotonic() - started)
        model_metrics.batch_size.observe(len(items))
        model_metrics.batch_tokens.observe(sum(item.positions for item in items))
        for item in items:
            model_metrics.queue_seconds.observe(started - item.queued_at)
