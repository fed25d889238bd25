"""Prometheus metrics. Labels are route templates, models and codes, never raw paths."""

import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZE_BUCKETS = tuple(2**i for i in range(15))


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One model's children of the metrics by model; looking them up by label costs as much as counting."""

    preprocess_seconds: Histogram
    queue_seconds: Histogram
    inference_seconds: Histogram
    batch_size: Histogram
    batch_tokens: Histogram
    cache_hits: Counter
    cache_misses: Counter


class Metrics:
    """One instance per app, so that two apps in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "headlight_requests",
            "Requests by status and stable error code; `code` is the deprecated name of `status`.",
            ["route", "model", "status", "error_code", "code"],
            registry=self.registry,
        )
        requests = self._duration_histogram(
            "request", "From request headers to the last byte of the response.", "route"
        )
        self._preprocess_seconds = self._duration_histogram(
            "preprocess", "Tokenization or image decoding of a request.", "model"
        )
        self._queue_seconds = self._duration_histogram("queue", "Time an input waited in the queue.", "model")
        self._inference_seconds = self._duration_histogram("inference", "One ONNX Runtime run.", "model")
        self.model_info = Gauge(
            "headlight_model_info", "1 for each served model.", ["model", "provider", "precision"],
            registry=self.registry,
        )  # fmt: skip
        self.engine_alive = Gauge(
            "headlight_engine_alive", "1 while the engine is alive, as /livez reports.", registry=self.registry
        )
        self.queue_size = Gauge("headlight_queue_size", "Inputs in the queue.", registry=self.registry)
        self._batch_size = self._size_histogram("size", "Inputs in a batch.")
        self._batch_tokens = self._size_histogram("tokens", "Tokens, or positions of images, in a batch.")
        self._cache_lookups = Counter(
            "headlight_cache_lookups", "Lookups in the embedding cache.", ["model", "result"],
            registry=self.registry,
        )  # fmt: skip
        self.rejected = Counter(
            "headlight_rejected",
            "Inputs rejected by load shedding or dropped at their deadline; 1 for a request whose body is not read.",
            ["reason", "model"],
            registry=self.registry,
        )
        for reason in ("overloaded", "deadline"):
            self.rejected.labels(reason, "")  # creates the series before the first event
        self._gc_seconds = Histogram(
            "headlight_gc_pause_seconds",
            "Garbage collection pauses.",
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._gc_started_at = 0.0
        deprecated = {
            "headlight_shed": self.rejected,
            "headlight_queue_items": self.queue_size,
            "headlight_batch_items": self._batch_size,
            "headlight_cache": self._cache_lookups,
        }
        self.registry.register(DeprecatedNames(deprecated))
        self.requests_total = cache(self._count_requests)
        """Counter of requests by route template, model, status and error code."""
        self.request_seconds = cache(requests.labels)
        """Durations of requests by route template."""
        self.for_model = cache(self._for_model)
        """Metrics of a served model by its name."""

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics, and their Content-Type: the version of the format that the Accept header prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def watch_garbage_collector(self) -> None:
        """Time every collection from now to the end of the process."""
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_started_at = time.perf_counter()
        else:
            self._gc_seconds.observe(time.perf_counter() - self._gc_started_at)

    def _count_requests(self, route: str, model: str, status: str, error_code: str) -> Counter:
        return self._requests.labels(route, model, status, error_code, status)

    def _for_model(self, model: str) -> ModelMetrics:
        return ModelMetrics(
            self._preprocess_seconds.labels(model),
            self._queue_seconds.labels(model),
            self._inference_seconds.labels(model),
            self._batch_size.labels(model),
            self._batch_tokens.labels(model),
            self._cache_lookups.labels(model, "hit"),
            self._cache_lookups.labels(model, "miss"),
        )

    def _duration_histogram(self, stage: str, documentation: str, label: str) -> Histogram:
        name = f"headlight_{stage}_duration_seconds"
        return Histogram(name, documentation, [label], buckets=DURATION_BUCKETS_S, registry=self.registry)

    def _size_histogram(self, unit: str, documentation: str) -> Histogram:
        name = f"headlight_batch_{unit}"
        return Histogram(name, documentation, ["model"], buckets=SIZE_BUCKETS, registry=self.registry)


class DeprecatedNames(Collector):
    """Renamed metrics under their old names, for one release; copied when they are scraped."""

    def __init__(self, metrics: Mapping[str, MetricWrapperBase]) -> None:
        """`metrics`: the metric of each old name, without suffix."""
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield each metric under its old name."""
        for old_name, wrapper in self._metrics.items():
            for metric in wrapper.collect():
                suffix = "_total" if metric.type == "counter" else ""
                renamed = Metric(old_name, f"Deprecated: use {metric.name}{suffix}.", metric.type)
                renamed.samples = [
                    sample._replace(name=old_name + sample.name.removeprefix(metric.name))
                    for sample in metric.samples
                    if not sample.name.endswith("_created")
                ]
                yield renamed
