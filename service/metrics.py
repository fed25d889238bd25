"""Prometheus metrics in a registry of their own. Labels are route templates, models and codes: never raw paths."""

import gc
import time
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
POWERS_OF_TWO = tuple(2**i for i in range(15))


@dataclass(frozen=True, slots=True)
class ModelMeters:
    """One model's children of the metrics by model: looking them up by label costs as much as counting."""

    preprocess_seconds: Histogram
    queue_seconds: Histogram
    inference_seconds: Histogram
    batch_items: Histogram
    batch_tokens: Histogram
    cache_hits: Counter
    cache_misses: Counter


class Metrics:
    """One instance per app, so that two apps in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "headlight_requests", "Requests answered.", ["route", "model", "code"], registry=self.registry
        )
        requests = self._seconds("request", "From the request's headers to the answer's last byte.", "route")
        self._preprocess_seconds = self._seconds("preprocess", "Tokenization or decoding of a request.", "model")
        self._queue_seconds = self._seconds("queue", "An item's wait for its batch.", "model")
        self._inference_seconds = self._seconds("inference", "One ONNX Runtime run.", "model")
        self.models = Gauge(
            "headlight_model_info", "1 for each served model.", ["model", "provider", "precision"],
            registry=self.registry,
        )  # fmt: skip
        self.engine_alive = Gauge(
            "headlight_engine_alive", "1 while all of the engine is at work, as /livez says.", registry=self.registry
        )
        self.queue_items = Gauge("headlight_queue_items", "Items waiting.", registry=self.registry)
        self._batch_items = self._sizes("items", "Items in a batch.")
        self._batch_tokens = self._sizes("tokens", "Tokens, or positions of pictures, in a batch.")
        self._cached = Counter(
            "headlight_cache", "Items looked for in the cache of embeddings.", ["model", "result"],
            registry=self.registry,
        )  # fmt: skip
        self.shed = Counter(
            "headlight_shed", "Items refused or dropped unexecuted.", ["reason"], registry=self.registry
        )
        for reason in ("overloaded", "deadline"):
            self.shed.labels(reason)  # a series that is there before it first counts
        self._gc_seconds = Histogram(
            "headlight_gc_pause_seconds", "Pauses of the garbage collector.", buckets=SECONDS, registry=self.registry
        )
        self._gc_began = 0.0
        self.answered = cache(self._requests.labels)
        """The counter of answers by route template, model and code."""
        self.request_seconds = cache(requests.labels)
        """Their durations by route template."""
        self.of = cache(self._of)
        """The meters of a served model, by its name."""

    def expose(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def watch_garbage_collector(self) -> None:
        """Time every collection from now to the end of the process."""
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = time.perf_counter()
        else:
            self._gc_seconds.observe(time.perf_counter() - self._gc_began)

    def _of(self, model: str) -> ModelMeters:
        return ModelMeters(
            self._preprocess_seconds.labels(model),
            self._queue_seconds.labels(model),
            self._inference_seconds.labels(model),
            self._batch_items.labels(model),
            self._batch_tokens.labels(model),
            self._cached.labels(model, "hit"),
            self._cached.labels(model, "miss"),
        )

    def _seconds(self, what: str, documentation: str, label: str) -> Histogram:
        name = f"headlight_{what}_duration_seconds"
        return Histogram(name, documentation, [label], buckets=SECONDS, registry=self.registry)

    def _sizes(self, what: str, documentation: str) -> Histogram:
        name = f"headlight_batch_{what}"
        return Histogram(name, documentation, ["model"], buckets=POWERS_OF_TWO, registry=self.registry)
