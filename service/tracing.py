"""OpenTelemetry traces, when an exporter is configured: by OpenTelemetry's own `OTEL_*` variables, and by nothing else.
The exporter is OTLP over HTTP.

Spans and attributes are those of OpenTelemetry's semantic conventions for HTTP servers and for generative AI (the
`embeddings` operation). A request's spans are made when it is over, from the moments that it noted on its way: while it
runs, tracing costs nothing.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.answered import Answered

ENDPOINTS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
EMBEDDINGS = "embeddings"
LAST_SENDING_S = 2.0


class Tracing:
    """Spans of requests, sent in the background."""

    def __init__(self, exporter: SpanExporter) -> None:
        # It warns of a trace state that it cannot read, and quotes what the client sent.
        logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
        name = {} if "OTEL_SERVICE_NAME" in os.environ else {SERVICE_NAME: "headlight"}
        self._provider = TracerProvider(resource=Resource.create(name))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("headlight")
        self._carried = TraceContextTextMapPropagator()

    @classmethod
    def configured(cls) -> Self | None:
        """To the collector that OpenTelemetry's variables name; None where they name none, or say that it is off."""
        said = {name: os.environ.get(name, "").lower() for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER")}
        off = said["OTEL_SDK_DISABLED"] == "true" or said["OTEL_TRACES_EXPORTER"] == "none"
        if off or not any(os.environ.get(variable) for variable in ENDPOINTS):
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # 0.2 s to import

        return cls(OTLPSpanExporter())

    def record(self, answered: Answered, headers: Mapping[bytes, bytes]) -> None:
        """One span for the request, in the trace that its headers name, and one for each stage of it."""
        on_wall = _on_wall()
        span = self._tracer.start_span(
            f"{EMBEDDINGS} {answered.model}" if answered.items else f"{answered.method} {answered.route}",
            self._carried.extract(headers, getter=_HEADERS),
            SpanKind.SERVER,
            attributes=_attributes(answered),
            start_time=on_wall(answered.came),
        )
        if answered.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        within = set_span_in_context(span)
        for name, start, end in answered.timing.stages() if answered.timing else ():
            self._tracer.start_span(name, within, start_time=on_wall(start)).end(on_wall(end))
        span.end(on_wall(answered.ended))

    def close(self) -> None:
        """Send what is still to be sent, if the collector takes it soon: it may not be there any more."""
        sending = threading.Thread(target=self._provider.shutdown, name="headlight-traces", daemon=True)
        sending.start()
        sending.join(LAST_SENDING_S)


def _attributes(answered: Answered) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "http.request.method": answered.method,
        "http.route": answered.route,
        "http.response.status_code": answered.status,
        "headlight.request_id": answered.request_id.decode("ascii"),
    }
    if answered.status >= 400:
        found["error.type"] = str(answered.status)
    if answered.model:
        found |= {
            "gen_ai.operation.name": EMBEDDINGS,
            "gen_ai.provider.name": "headlight",
            "gen_ai.request.model": answered.model,
        }
    if answered.items:
        found |= {"gen_ai.usage.input_tokens": answered.positions, "headlight.items": answered.items}
    return found


class _Headers(Getter[Mapping[bytes, bytes]]):
    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        found = carrier.get(key.encode())
        return None if found is None else [found.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_HEADERS = _Headers()


def _on_wall() -> Callable[[float], int]:
    """What gives moments in ns of the wall's clock, which traces of several machines share.

    The clocks are compared once, so that the moments of a request keep their order however long that takes.
    """
    ahead_ns = time.time_ns() - time.monotonic_ns()
    return lambda moment: ahead_ns + int(moment * 1e9)
