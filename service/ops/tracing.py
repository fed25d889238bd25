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

from service.ops.access_log import RequestRecord

ENDPOINT_VARIABLES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
EMBEDDINGS_OPERATION = "embeddings"
FLUSH_TIMEOUT_S = 2.0


class Tracing:
    """Spans of requests, sent in the background."""

    def __init__(self, exporter: SpanExporter) -> None:
        # OpenTelemetry warns of an invalid trace state and quotes what the client sent.
        logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
        name = {} if "OTEL_SERVICE_NAME" in os.environ else {SERVICE_NAME: "headlight"}
        self._provider = TracerProvider(resource=Resource.create(name))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("headlight")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def from_env(cls) -> Self | None:
        """To the collector that OpenTelemetry's variables name; None where they name none, or say that it is off."""
        values = {name: os.environ.get(name, "").lower() for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER")}
        disabled = values["OTEL_SDK_DISABLED"] == "true" or values["OTEL_TRACES_EXPORTER"] == "none"
        if disabled or not any(os.environ.get(variable) for variable in ENDPOINT_VARIABLES):
            return None
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # 0.2 s to import

        return cls(OTLPSpanExporter())

    def record(self, request_record: RequestRecord, headers: Mapping[bytes, bytes]) -> None:
        """One span for the request, in the trace that its headers name, and one for each stage of it."""
        to_unix_ns = _monotonic_to_unix_ns()
        span = self._tracer.start_span(
            f"{EMBEDDINGS_OPERATION} {request_record.model}"
            if request_record.num_inputs
            else f"{request_record.method} {request_record.route}",
            self._propagator.extract(headers, getter=_HEADERS),
            SpanKind.SERVER,
            attributes=_attributes(request_record),
            start_time=to_unix_ns(request_record.received_at),
        )
        if request_record.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        parent_context = set_span_in_context(span)
        for name, start, end in request_record.timing.stages() if request_record.timing else ():
            self._tracer.start_span(name, parent_context, start_time=to_unix_ns(start)).end(to_unix_ns(end))
        span.end(to_unix_ns(request_record.finished_at))

    def close(self) -> None:
        """Send what is still to be sent, if the collector takes it soon: it may not be there any more."""
        flush_thread = threading.Thread(target=self._provider.shutdown, name="headlight-traces", daemon=True)
        flush_thread.start()
        flush_thread.join(FLUSH_TIMEOUT_S)


def _attributes(request_record: RequestRecord) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": request_record.method,
        "http.route": request_record.route,
        "http.response.status_code": request_record.status,
        "headlight.request_id": request_record.request_id.decode("ascii"),
    }
    if request_record.status >= 400:
        attributes["error.type"] = str(request_record.status)
    if request_record.model:
        attributes |= {
            "gen_ai.operation.name": EMBEDDINGS_OPERATION,
            "gen_ai.provider.name": "headlight",
            "gen_ai.request.model": request_record.model,
        }
    if request_record.num_inputs:
        attributes |= {
            "gen_ai.usage.input_tokens": request_record.num_tokens,
            "headlight.items": request_record.num_inputs,
        }
    return attributes


class _Headers(Getter[Mapping[bytes, bytes]]):
    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        value = carrier.get(key.encode())
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_HEADERS = _Headers()


def _monotonic_to_unix_ns() -> Callable[[float], int]:
    """Return a function from monotonic seconds to ns of the wall clock, which traces of several machines share.

    The clocks are compared once, so that the moments of a request keep their order however long that takes.
    """
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda moment: offset_ns + int(moment * 1e9)
