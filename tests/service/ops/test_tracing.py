"""Tests of traces, as a real collector receives them."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.ops import tracing
from tests.polling import WAIT_TIMEOUT_S
from tests.service.conftest import URL, VALID_BODY, ClientFactory

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what is exported."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.add(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, request: Any) -> None:
        for resource in request.resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setattr(tracing, "FLUSH_TIMEOUT_S", WAIT_TIMEOUT_S)
    yield collector
    collector.close()


def attributes(span: Any) -> dict[str, object]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_trace_has_a_span_per_stage(collector: Collector, serving: ClientFactory) -> None:
    with serving() as client:
        client.post(URL, json=VALID_BODY, headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "seven"})
    assert collector.services == {"headlight"}
    by_name = {span.name: span for span in collector.spans}
    request = by_name.pop("embeddings tiny")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    tags = attributes(request)
    assert tags["gen_ai.operation.name"] == "embeddings"
    assert (tags["gen_ai.request.model"], tags["http.route"], tags["http.response.status_code"]) == ("tiny", URL, 200)
    assert tags["gen_ai.usage.input_tokens"] == 5
    assert tags["headlight.request_id"] == "seven"
    assert "old lamp" not in str(collector.spans)
    assert list(by_name) == ["preprocess", "queue", "inference", "serialize"]
    moments = [request.start_time_unix_nano]
    for stage in by_name.values():
        assert stage.parent_span_id == request.span_id
        moments += [stage.start_time_unix_nano, stage.end_time_unix_nano]
    assert moments == sorted(moments)


def test_rejected_request_span_has_error_type(collector: Collector, serving: ClientFactory) -> None:
    with serving() as client:
        client.post(URL, json={"model": "gpt", "input": "a"})
    (span,) = collector.spans
    assert (span.name, attributes(span)["error.type"]) == (f"POST {URL}", "404")


def test_tracing_is_off_without_an_exporter(serving: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as client:
        assert client.app.state.headlight.tracing is None  # type: ignore[attr-defined]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with serving() as client:
        assert client.app.state.headlight.tracing is None  # type: ignore[attr-defined]
