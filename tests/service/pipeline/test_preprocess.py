"""Tests of preprocessing on few shared threads: in turn, and not for clients that disconnected."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from service.app import create_app
from service.app_state import AppState
from service.settings import Settings
from tests.images import encode, gradient_image, to_data_url
from tests.service.conftest import URL, VALID_BODY

IMAGE = {"image": to_data_url(encode(gradient_image()))}
LONG_TEXT = {**VALID_BODY, "input": "the old lamp " * 50}
BLOCKED_S = 20.0


@pytest.fixture
def client(tiny: Path, tiny_image: Path) -> Iterator[TestClient]:
    """Of an app with one thread of each kind."""
    with TestClient(create_app(Settings(models=(tiny, tiny_image), threads=1))) as client:
        yield client


async def status_after_disconnect(client: TestClient, path: str, body: object) -> int:
    """What is answered to a client that goes once it has sent its request."""
    sent: list[Message] = []
    messages: list[Message] = [{"type": "http.disconnect"}]
    messages.append({"type": "http.request", "body": json.dumps(body).encode()})

    async def receive() -> Message:
        await asyncio.sleep(0.05)
        return messages.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "state": {}}
    await client.app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("threads", "path", "body"),
    [
        ("image_pool", URL, {"model": "tiny-image", "input": [IMAGE] * 3}),
        ("tokenizer_pool", URL, LONG_TEXT),
        ("image_pool", "/v1/attention/image", VALID_BODY),
        ("tokenizer_pool", "/tokenize", {"inputs": "the old lamp"}),
        ("tokenizer_pool", "/decode", {"ids": [3]}),
    ],
)
def test_preprocessing_stops_on_disconnect(client: TestClient, threads: str, path: str, body: dict[str, Any]) -> None:
    state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
    over = threading.Event()
    held = getattr(state, threads).submit(over.wait, BLOCKED_S)
    try:
        assert client.portal
        assert client.portal.call(status_after_disconnect, client, path, body) == 499
        assert not held.done()
    finally:
        over.set()
    assert client.post(path, json=body).status_code == 200


def test_image_decoding_stops_on_disconnect(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = threading.Semaphore(0)

    def slowly(*_: object) -> None:
        decoded.release()
        threading.Event().wait(0.1)

    monkeypatch.setattr("service.pipeline.preprocess._decode", slowly)
    body = {"model": "tiny-image", "input": [IMAGE] * 50}
    assert client.portal
    assert client.portal.call(status_after_disconnect, client, URL, body) == 499
    assert decoded._value < 25


def test_tokenization_is_interleaved_between_requests(client: TestClient) -> None:
    long = ["x" * 100_000] * 30
    answers: list[int] = []
    bulk = threading.Thread(
        target=lambda: answers.append(client.post(URL, json={**VALID_BODY, "input": long}).status_code)
    )
    bulk.start()
    state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
    while not state.tokenizer_pool._threads:
        threading.Event().wait(0.01)
    assert client.post(URL, json=LONG_TEXT).status_code == 200
    assert client.post(URL, json=VALID_BODY).status_code == 200
    assert not answers
    bulk.join()
    assert answers == [200]


def test_short_text_is_tokenized_on_the_event_loop(client: TestClient) -> None:
    state: AppState = client.app.state.headlight  # type: ignore[attr-defined]
    over = threading.Event()
    state.tokenizer_pool.submit(over.wait, BLOCKED_S)
    try:
        assert client.post(URL, json=VALID_BODY).status_code == 200
        many = client.post(URL, json={**VALID_BODY, "input": [""] * 2})
        assert many.status_code == 200
        refused = client.post(URL, json={**VALID_BODY, "input": [[2**40]]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_tokens")
        assert not over.is_set()
    finally:
        over.set()
