"""Prometheus metrics in a registry of their own. Labels are route templates, models and codes: never raw paths."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
POWERS_OF_TWO = tuple(2**i for i in range(15))


class Metrics:
    """One instance per app, so that two apps in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "headlight_requests", "Requests answered.", ["route", "model", "code"], registry=self.registry
        )
        self.request_seconds = self._seconds(
            "request", "From the request's headers to the answer's last byte.", "route"
        )
        self.preprocess_seconds = self._seconds("preprocess", "Tokenization or decoding of a request.", "model")
        self.queue_seconds = self._seconds("queue", "An item's wait for its batch.", "model")
        self.inference_seconds = self._seconds("inference", "One ONNX Runtime run.", "model")
        self.queue_items = Gauge("headlight_queue_items", "Items waiting.", registry=self.registry)
        self.batch_items = self._sizes("items", "Items in a batch.")
        self.batch_tokens = self._sizes("tokens", "Tokens, or positions of pictures, in a batch.")
        self.shed = Counter(
            "headlight_shed", "Items refused or dropped unexecuted.", ["reason"], registry=self.registry
        )
        for reason in ("overloaded", "deadline"):
            self.shed.labels(reason)  # a series that is there before it first counts

    def expose(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _seconds(self, what: str, documentation: str, label: str) -> Histogram:
        name = f"headlight_{what}_duration_seconds"
        return Histogram(name, documentation, [label], buckets=SECONDS, registry=self.registry)

    def _sizes(self, what: str, documentation: str) -> Histogram:
        name = f"headlight_batch_{what}"
        return Histogram(name, documentation, ["model"], buckets=POWERS_OF_TWO, registry=self.registry)
