"""Tests of health, metrics and documentation on a running server."""

import re

import httpx
import pytest

from tests.conftest import MINILM
from tests.server import Server


def test_livez_and_readyz(server: Server) -> None:
    for path in ("/livez", "/readyz"):
        answer = httpx.get(f"{server.url}{path}")
        assert (answer.status_code, answer.text) == (200, "ok\n"), "ours, not BentoML's"
    assert httpx.get(f"{server.url}/healthz").json()["error"]["code"] == "not_found"


def test_bentoml_serves_only_its_own_paths(server: Server) -> None:
    assert httpx.get(f"{server.url}/docs.json").json()["info"]["title"] == "headlight"
    assert httpx.get(f"{server.url}/static_content/index.css").json()["error"]["code"] == "not_found"


def test_models_report_their_provider(server: Server) -> None:
    (model,) = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert model["id"] == MINILM
    assert model["provider"] == "CPUExecutionProvider"
    assert model["attention"] == {"layers": 6, "heads": 12}
    assert (model["modality"], model["space"], model["max_tokens"]) == ("text", MINILM, 256)
    assert model["image"] is model["grid"] is None


def scrape(client: httpx.Client) -> tuple[int, float]:
    """Series, and bytes of resident memory."""
    text = client.get("/metrics").text
    found = re.search(r"^process_resident_memory_bytes (.*)$", text, re.MULTILINE)
    assert found
    return len(text.splitlines()), float(found[1])


def test_metrics_are_labeled_by_route_template(server: Server) -> None:
    httpx.post(f"{server.url}/v1/embeddings", json={"model": MINILM, "input": "A lamp."})
    with httpx.Client(base_url=server.url) as client:
        for _ in range(300):  # until what one such request makes the process hold for good is there
            client.get("/made-up")
        scrape(client)  # its own route is counted once it is answered: from the next reading on
        series, resident = scrape(client)
        for i in range(3_000):
            client.get(f"/made-up/{i}")
        more, grown = scrape(client)
    assert more == series
    assert grown - resident < 5e6
    text = httpx.get(f"{server.url}/metrics").text
    assert (
        f'headlight_requests_total{{code="200",error_code="",model="{MINILM}",route="/v1/embeddings",status="200"}}'
        in text
    )
    assert 'headlight_requests_total{code="404",error_code="not_found",model="",route="unmatched",status="404"}' in text
    assert "made-up" not in text
    info = f'headlight_model_info{{model="{MINILM}",precision="fp32",provider="CPUExecutionProvider"}} 1.0'
    assert info in text
    names = ["request", "queue", "preprocess", "inference"]
    for name in [*(f"headlight_{n}_duration_seconds_count" for n in names), "headlight_queue_size",
                 "headlight_batch_size_count", "headlight_batch_tokens_count",
                 "headlight_gc_pause_seconds_count", "process_resident_memory_bytes"]:  # fmt: skip
        assert name in text
    renamed = {"shed_total": "rejected_total", "queue_items": "queue_size", "cache_total": "cache_lookups_total"}
    for old, new in (renamed | {"batch_items_bucket": "batch_size_bucket"}).items():
        assert series_of(text, old) == series_of(text, new)


def series_of(text: str, name: str) -> list[str]:
    """Return labels and values of a metric's series."""
    series = [
        line.removeprefix(f"headlight_{name}") for line in text.splitlines() if line.startswith(f"headlight_{name}")
    ]
    assert series
    return series


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/v1/models", "/openapi.json"])
def test_get_endpoints_reject_post(server: Server, path: str) -> None:
    assert httpx.post(f"{server.url}{path}").status_code == 405
