"""Tests of errors that no request can cause in a test, in each API's format."""

import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import errors
from service.api import DIALECTS, tei
from service.app import create_app
from service.engine.engine import Engine
from service.engine.items import EngineRequest
from service.http.endpoints import Dialect
from service.settings import Settings
from tests.images import encode, gradient_image, to_data_url
from tests.polling import eventually
from tests.service.conftest import URL, VALID_BODY, ClientFactory


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.Overloaded("full", retry_after_s=7), 429, "Overloaded"),
        (errors.NotReady("leaving"), 503, "Unhealthy"),
        (errors.InferenceFailed("not finite"), 424, "Backend"),
        (errors.InternalError("internal error"), 424, "Backend"),
        (errors.BodyTooLarge("too large"), 413, "Validation"),
    ],
)
def test_text_embeddings_inference(error: errors.HeadlightError, status: int, kind: str) -> None:
    answer = tei.DIALECT.error_response(error)
    assert (answer.status_code, json.loads(bytes(answer.body))["error_type"]) == (status, kind)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_sends_retry_after(dialect: Dialect) -> None:
    answer = dialect.error_response(errors.Overloaded("full", retry_after_s=7))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    dialect.error_model.model_validate_json(bytes(answer.body))


@pytest.fixture
def faulty(serving: ClientFactory, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Make an app whose engine raises an unexpected exception."""

    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a fault that no one foresaw")

    monkeypatch.setattr(Engine, "check_capacity", fail)
    with TestClient(create_app(Settings(models=(tiny,))), raise_server_exceptions=False) as client:
        yield client


def test_unexpected_exception_is_logged_and_not_exposed(faulty: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    answer = faulty.post(URL, json=VALID_BODY, headers={"X-Request-Id": "seven"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] == "seven"
    assert "seven" in caplog.text
    assert "foresaw" not in answer.text
    assert faulty.post("/embed", json={"inputs": "a"}).json()["error_type"] == "Backend"
    assert faulty.post("/v2/embed", json={"model": "tiny", "texts": ["a"]}).json() == {"message": "internal error"}


@pytest.mark.parametrize(
    "inputs",
    [
        ["the old lamp " * 50],
        [[5, 70_000]],
        [{"image": to_data_url(encode(gradient_image()))}],
        ["the old lamp", {"image": "bm8gcGljdHVyZQ=="}],
    ],
)
def test_refused_request_is_freed_without_the_collector(
    serving: ClientFactory,
    inputs: list[object],
) -> None:
    with serving() as client:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                body = {"model": "tiny", "input": inputs, "truncate": False}
                assert client.post(URL, json=body).status_code == 400
            client.post(URL, json=VALID_BODY)
            assert eventually(lambda: not any(type(found) is EngineRequest for found in gc.get_objects()))
        finally:
            gc.enable()
