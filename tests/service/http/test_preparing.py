"""Inputs are prepared on few threads, which all requests share: in turn, and for none whose client has gone."""

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
from service.settings import Settings
from service.state import State
from tests.pictures import as_data_url, encoded, scene
from tests.service.conftest import GOOD, URL

IMAGE = {"image": as_data_url(encoded(scene()))}
NOT_BRIEF = {**GOOD, "input": "the old lamp " * 50}
HELD_S = 20.0


@pytest.fixture
def client(tiny: Path, tiny_image: Path) -> Iterator[TestClient]:
    """Of an app with one thread of each kind."""
    with TestClient(create_app(Settings(models=(tiny, tiny_image), threads=1))) as client:
        yield client


async def status_of_one_that_leaves(client: TestClient, path: str, body: object) -> int:
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
        ("decoding", URL, {"model": "tiny-image", "input": [IMAGE] * 3}),
        ("tokenizing", URL, NOT_BRIEF),
        ("decoding", "/v1/attention/image", GOOD),
        ("tokenizing", "/tokenize", {"inputs": "the old lamp"}),
        ("tokenizing", "/decode", {"ids": [3]}),
    ],
)
def test_nothing_is_prepared_for_a_client_that_has_gone(
    client: TestClient, threads: str, path: str, body: dict[str, Any]
) -> None:
    state: State = client.app.state.headlight  # type: ignore[attr-defined]
    over = threading.Event()
    held = getattr(state, threads).submit(over.wait, HELD_S)
    try:
        assert client.portal
        assert client.portal.call(status_of_one_that_leaves, client, path, body) == 499
        assert not held.done()
    finally:
        over.set()
    assert client.post(path, json=body).status_code == 200


def test_pictures_of_a_client_that_has_gone_are_left(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = threading.Semaphore(0)

    def slowly(*_: object) -> None:
        decoded.release()
        threading.Event().wait(0.1)

    monkeypatch.setattr("service.http.inputs._decode", slowly)
    body = {"model": "tiny-image", "input": [IMAGE] * 50}
    assert client.portal
    assert client.portal.call(status_of_one_that_leaves, client, URL, body) == 499
    assert decoded._value < 25


def test_one_text_does_not_wait_for_all_of_another_request(client: TestClient) -> None:
    long = ["x" * 100_000] * 30
    answers: list[int] = []
    bulk = threading.Thread(target=lambda: answers.append(client.post(URL, json={**GOOD, "input": long}).status_code))
    bulk.start()
    state: State = client.app.state.headlight  # type: ignore[attr-defined]
    while not state.tokenizing._threads:
        threading.Event().wait(0.01)
    assert client.post(URL, json=NOT_BRIEF).status_code == 200
    assert client.post(URL, json=GOOD).status_code == 200
    assert not answers
    bulk.join()
    assert answers == [200]


def test_a_brief_text_needs_no_thread(client: TestClient) -> None:
    state: State = client.app.state.headlight  # type: ignore[attr-defined]
    over = threading.Event()
    state.tokenizing.submit(over.wait, HELD_S)
    try:
        assert client.post(URL, json=GOOD).status_code == 200
        many = client.post(URL, json={**GOOD, "input": [""] * 2})
        assert many.status_code == 200
        refused = client.post(URL, json={**GOOD, "input": [[2**40]]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_tokens")
        assert not over.is_set()
    finally:
        over.set()
