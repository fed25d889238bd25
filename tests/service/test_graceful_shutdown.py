"""Tests of graceful shutdown: from SIGTERM to exit without a lost request."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.container.load import LOST, client_load
from tests.conftest import MINILM
from tests.polling import eventually
from tests.server import Server, serve

LONG = {"model": MINILM, "input": [f"{i} " + "lamp " * 250 for i in range(60)], "encoding_format": "base64"}
GRACEFUL_SHUTDOWN_TIMEOUT_S = 60
"""More than the server's own, after which it would cancel requests."""
LONG_DELAY_MS = 4_000
"""Time to look at a server that leaves, before it takes nobody new."""


def first_unready_response(server: Server) -> httpx.Response:
    """Its first answer that says so."""
    answers: list[httpx.Response] = []

    def not_ready() -> bool:
        answers.append(httpx.get(f"{server.url}/readyz"))
        return answers[-1].status_code != 200

    assert eventually(not_ready)
    return answers[-1]


@contextmanager
def request_in_flight(server: Server, body: Mapping[str, object]) -> Iterator[list[httpx.Response]]:
    """A request is on its way inside, and answered when the context ends."""
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=120))

    thread = threading.Thread(target=ask)
    thread.start()
    assert eventually(lambda: "headlight_queue_size 0.0" not in httpx.get(f"{server.url}/metrics").text)
    yield answers
    thread.join()


def test_shutdown_finishes_requests_in_flight(minilm: Path) -> None:
    with serve(minilm, threads=1, shutdown_delay_ms=LONG_DELAY_MS) as server, request_in_flight(server, LONG) as long:
        server.process.send_signal(signal.SIGTERM)
        ready = first_unready_response(server)
        alive, models = (httpx.get(f"{server.url}/{path}") for path in ("livez", "v1/models"))
        assert not long, "the long one is still on its way, or this shows nothing"
        assert server.process.wait(GRACEFUL_SHUTDOWN_TIMEOUT_S) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/livez")
    assert (ready.status_code, ready.json()["error"]["code"]) == (503, "not_ready")
    assert int(ready.headers["retry-after"]) >= 1
    assert (alive.status_code, models.status_code, long[0].status_code) == (200, 200, 200)
    assert len(long[0].json()["data"]) == len(LONG["input"])
    for answer in (ready, alive, models):
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_the_drain(tiny: Path, second: signal.Signals) -> None:
    with serve(tiny, shutdown_delay_ms=60_000) as server:
        server.process.send_signal(signal.SIGTERM)
        assert first_unready_response(server).status_code == 503
        assert server.process.poll() is None
        server.process.send_signal(second)
        assert server.process.wait(30) == 0, "not when the drain would be over"


def test_sigint_does_not_wait_for_the_drain(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with serve(tiny, log=log, shutdown_delay_ms=60_000) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
    assert "Traceback" not in log.read_text()


def test_shutdown_resets_no_open_connection(minilm: Path) -> None:
    with (
        serve(minilm, shutdown_delay_ms=200) as server,
        client_load(int(server.url.rpartition(":")[2]), clients=24) as counts,
    ):
        assert eventually(lambda: counts["200"] > 48), "all are at work"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(GRACEFUL_SHUTDOWN_TIMEOUT_S) == 0
    assert counts.keys() <= {"200", "refused"}, f"{counts[LOST]} were connected, and reset"


def test_bentoml_serve_shuts_down_gracefully(tiny: Path) -> None:
    with serve(tiny, service="service.bento:Headlight", shutdown_delay_ms=LONG_DELAY_MS) as server:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert first_unready_response(server).status_code == 503
        assert server.process.wait(GRACEFUL_SHUTDOWN_TIMEOUT_S) == 0
