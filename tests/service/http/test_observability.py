"""Tests of request ids, timing headers and the access log."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from service.app_state import AppState
from service.http.middleware import ObservabilityMiddleware
from service.shutdown import Lifecycle, Phase
from tests.service.conftest import URL, VALID_BODY, ClientFactory

PRIVATE = "a-private-text"


def parse_server_timing(header: str) -> dict[str, float]:
    return {name: float(took) for name, took in re.findall(r"(\w+);dur=([\d.]+)", header)}


def access_log_lines(client: TestClient, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    client.app.state.headlight.access_log.flush()  # type: ignore[attr-defined]
    written = [record.message for record in caplog.records if record.name == "service.access"]
    return [json.loads(line) for message in written for line in message.splitlines()]


def test_request_id_is_kept_or_generated(client: TestClient) -> None:
    assert client.post(URL, json=VALID_BODY, headers={"X-Request-Id": "job-7/a"}).headers["x-request-id"] == "job-7/a"
    for bad in ("", "two words", "a" * 129, 'quo"te'):
        made = client.post(URL, json=VALID_BODY, headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)
    assert client.get("/nowhere").headers["x-request-id"]


def test_server_timing_stages_add_up(client: TestClient) -> None:
    shares = []
    for _ in range(20):
        took = parse_server_timing(client.post(URL, json=VALID_BODY).headers["server-timing"])
        assert list(took) == ["preprocess", "queue", "inference", "serialize", "total"]
        assert took["inference"] > 0
        total = took.pop("total")
        assert sum(took.values()) <= total + 0.05
        shares.append(sum(took.values()) / total)
    assert max(shares) > 0.5, "the rest is the way to the first stage, on which a busy machine may hold any of them up"


def test_uncomputed_response_has_no_server_timing(client: TestClient) -> None:
    for answer in (client.get("/v1/models"), client.post(URL, json={})):
        assert "server-timing" not in answer.headers


def test_access_log_has_one_line_per_request_without_content(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client.post(URL, json={**VALID_BODY, "input": [PRIVATE, "b"], "user": PRIVATE}, headers={"X-Request-Id": "one"})
    client.post(URL, json={"model": PRIVATE, "input": PRIVATE})
    client.post(f"/{PRIVATE}?{PRIVATE}", content=PRIVATE)
    first, second, third = access_log_lines(client, caplog)
    assert (first["request_id"], first["route"], first["status"], first["model"]) == ("one", URL, 200, "tiny")
    assert (first["items"], first["method"]) == (2, "POST")
    assert first["tokens"] > 4
    assert first["total_ms"] >= sum(first["stages_ms"].values())
    assert (second["status"], second["model"], second["items"]) == (404, None, 0)
    assert (third["status"], third["route"]) == (404, "unmatched")
    assert PRIVATE not in str(access_log_lines(client, caplog))


def test_cancelled_request_counts_as_client_closed(client: TestClient) -> None:
    """As at the end of the time that requests have to finish when the server stops."""
    state: AppState = client.app.state.headlight  # type: ignore[attr-defined]

    async def cancelled(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise asyncio.CancelledError

    async def nowhere(*_: object) -> Any:
        raise AssertionError

    scope = {"type": "http", "app": client.app, "method": "POST", "headers": []}
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ObservabilityMiddleware(cancelled)(scope, nowhere, nowhere))
    counted = [
        line for line in state.metrics.render()[0].decode().splitlines() if line.startswith("headlight_requests_t")
    ]
    assert counted == ['headlight_requests_total{code="499",error_code="",model="",route="unmatched",status="499"} 1.0']


def test_successful_probes_are_not_logged(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert client.get("/readyz").status_code == 200
    assert access_log_lines(client, caplog) == []
    lifecycle: Lifecycle = client.app.state.headlight.lifecycle  # type: ignore[attr-defined]
    lifecycle.advance(Phase.UNREADY)
    assert client.get("/readyz").status_code == 503
    assert [line["route"] for line in access_log_lines(client, caplog)] == ["/readyz"]


def test_access_log_can_be_disabled(serving: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving(access_log=False) as client:
        client.post(URL, json=VALID_BODY)
    assert not [record for record in caplog.records if record.name == "service.access"]


def test_access_log_is_flushed_at_shutdown(serving: ClientFactory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving() as client:
        client.post(URL, json=VALID_BODY)
    assert [record for record in caplog.records if record.name == "service.access"]
