"""Tests of invalid requests: each gets its typed error, and the next valid one its response."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import MINILM
from tests.polling import eventually
from tests.server import Server

GOOD = {"model": MINILM, "input": "A lamp."}
URL = "/v1/embeddings"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client whose server must still answer a good request when the test is over."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
    assert httpx.post(server.url + URL, json=GOOD).status_code == 200


def assert_error(answer: httpx.Response, status: int, code: str, param: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "detail"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert (body["error"]["code"], body["error"]["param"]) == (code, param)
    assert body["detail"] == body["error"]["message"]
    return str(body["detail"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"model": "all-MiniLM-L6-v2", "input": "A la',
        b'{"model": NaN}',
        b'{"x": Infinity}',
        b'{"x": 1e999}',
        b'{"x": 1e400}',
        b'{"x": ' + b"9" * 5_000 + b"}",
        b'"text"',
        b"\xff\xfe",
        b"[" * 101 + b"]" * 101,
        b'{"model": "all-MiniLM-L6-v2", "input": "a", "user": ' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
    ],
)
def test_invalid_json(client: httpx.Client, body: bytes) -> None:
    assert_error(client.post(URL, content=body, headers={"Content-Type": "application/json"}), 400, "invalid_json")


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"model": None}, "invalid_input", "model"),
        ({"model": 3}, "invalid_input", "model"),
        ({"input": []}, "invalid_input", "input"),
        ({"input": None}, "invalid_input", "input"),
        ({"input": {}}, "invalid_input", "input[0]"),
        ({"input": {"text": "a", "image": "a"}}, "invalid_input", "input[0]"),
        ({"input": ["a", {"text": 1}]}, "invalid_input", "input[1]"),
        ({"input": ["a", {"image": "aGk="}]}, "invalid_input", "input[1]"),
        ({"input": [[1, "a"]]}, "invalid_input", "input[0]"),
        ({"input": [[]]}, "invalid_input", "input[0]"),
        ({"input": [[101, 0.5]]}, "invalid_input", "input[0]"),
        ({"input": [1, True]}, "invalid_input", "input[0]"),
        ({"input": ["a", [101, -1]]}, "invalid_tokens", "input[1]"),
        ({"input": [101, 30_522]}, "invalid_tokens", "input[0]"),
        ({"input": [2**63]}, "invalid_tokens", "input[0]"),
        ({"modality": "image"}, "invalid_input", "input[0]"),
        ({"modality": "smell"}, "invalid_parameter", "modality"),
        ({"input": 7}, "invalid_input", "input"),
        ({"input": ["a", "b", "c", 4]}, "invalid_input", "input[3]"),
        ({"input": ["a", None]}, "invalid_input", "input[1]"),
        ({"truncate": "yes"}, "invalid_parameter", "truncate"),
        ({"dimensions": "64"}, "invalid_input", "dimensions"),
        ({"dimensions": 0}, "invalid_parameter", "dimensions"),
        ({"dimensions": 385}, "invalid_parameter", "dimensions"),
        ({"dimensions": -1}, "invalid_parameter", "dimensions"),
        ({"dimensions": 2**63}, "invalid_parameter", "dimensions"),
        ({"dimensions": 10**30}, "invalid_parameter", "dimensions"),
        ({"dimensions": 1.5}, "invalid_input", "dimensions"),
        ({"encoding_format": "hex"}, "invalid_parameter", "encoding_format"),
        ({"attention": "yes"}, "invalid_input", "attention"),
        ({"attention": {"reduce": "median"}}, "invalid_parameter", "attention.reduce"),
        ({"attention": {"reduce": "raw", "layers": [6]}}, "invalid_parameter", "attention.layers"),
        ({"attention": {"reduce": "raw", "heads": [12]}}, "invalid_parameter", "attention.heads"),
        ({"attention": {"reduce": "raw", "heads": [-1]}}, "invalid_parameter", "attention.heads[0]"),
        ({"attention": {"reduce": "raw", "layers": [0.5]}}, "invalid_input", "attention.layers[0]"),
        ({"attention": {"reduce": "raw", "layers": []}}, "invalid_input", "attention.layers"),
        ({"attention": {"query": -1}}, "invalid_parameter", "attention.query"),
        ({"attention": {"layers": [0]}}, "invalid_parameter", "attention.layers"),
        ({"attention": {"query": 5}}, "invalid_parameter", "attention.query"),
        ({"attention": {"color": "red"}}, "invalid_parameter", "attention"),
        ({"input": "lamp " * 300, "truncate": False}, "context_length_exceeded", "input[0]"),
        ({"input": ["a"] * 2049}, "too_many_inputs", "input"),
        ({"input": ["lamp " * 300] * 2, "attention": {"reduce": "raw"}}, "attention_too_large", "attention"),
    ],
)
def test_invalid_request(client: httpx.Client, change: dict[str, Any], code: str, param: str) -> None:
    message = assert_error(client.post(URL, json={**GOOD, **change}), 400, code, param)
    assert "lamp" not in message


@pytest.mark.parametrize("field", ["model", "input"])
def test_missing_field_is_named(client: httpx.Client, field: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != field}
    assert_error(client.post(URL, json=body), 400, "invalid_input", field)


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_body_must_be_an_object(client: httpx.Client, body: object) -> None:
    assert_error(client.post(URL, content=json.dumps(body)), 400, "invalid_json")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": [1] * 500_000}, "input[0]"),
        ({"attention": {"reduce": "raw", "layers": [-1] * 500_000}}, "attention.layers"),
        ({"input": [{str(i): i for i in range(200_000)}]}, "input[0]"),
        ({"attention": {str(i): i for i in range(200_000)}}, "attention"),
    ],
)
def test_validation_stops_at_the_first_error(client: httpx.Client, change: dict[str, Any], param: str) -> None:
    answer = client.post(URL, json={**GOOD, **change})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("path", [f"{URL}//", f"/v1{URL}", f"{URL}/x"])
def test_other_paths_are_not_found(client: httpx.Client, path: str) -> None:
    assert_error(client.post(path, json=GOOD), 404, "not_found")


def test_aborted_upload_is_not_a_server_error(client: httpx.Client, server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    line = 'headlight_requests_total{code="499",error_code="",model="",route="/v1/embeddings",status="499"}'
    assert eventually(lambda: line in client.get("/metrics").text)
    assert 'code="500"' not in client.get("/metrics").text


def test_disconnected_client_is_not_computed(client: httpx.Client) -> None:
    def batches() -> float:
        found = re.search(r"headlight_batch_size_count{.*} (.*)", client.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = batches()
    many = {**GOOD, "input": [f"{i} " + "lamp " * 300 for i in range(600)]}
    with pytest.raises(httpx.ReadTimeout):
        client.post(URL, json=many, timeout=httpx.Timeout(60, read=1))
    assert eventually(lambda: "headlight_queue_size 0.0" in client.get("/metrics").text)
    assert batches() - before < 600 / 2, "each of these texts fills a batch"


def test_unknown_model_is_refused(client: httpx.Client) -> None:
    message = assert_error(client.post(URL, json={**GOOD, "model": "gpt"}), 404, "model_not_found", "model")
    assert MINILM in message


def test_body_too_large_by_content_length(client: httpx.Client) -> None:
    body = json.dumps({**GOOD, "input": "a" * 20_000_000})
    assert_error(client.post(URL, content=body), 413, "body_too_large")


def test_body_too_large_in_chunks(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(320):
            yield b" " * 65_536

    assert_error(client.post(URL, content=chunks()), 413, "body_too_large")


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Encoding": "br"}])
def test_unsupported_media_type(client: httpx.Client, headers: dict[str, str]) -> None:
    assert_error(client.post(URL, content=b"{}", headers=headers), 415, "unsupported_media_type")


def test_missing_content_type_is_json(client: httpx.Client) -> None:
    assert client.post(URL, content=json.dumps(GOOD)).status_code == 200


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    assert_error(client.get("/nowhere"), 404, "not_found")
    wrong = client.get(URL)
    assert_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
