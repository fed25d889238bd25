"""Tests of embeddings: those of sentence-transformers, whatever else is in the batch."""

import json
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from safetensors.numpy import load_file

from tests.conftest import MINILM
from tests.server import Server

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    loaded: list[str] = json.loads((GOLDEN / "minilm.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    vectors: np.ndarray = load_file(GOLDEN / "minilm.safetensors")["embeddings"]
    return vectors


def embed(server: Server, texts: list[str], **options: object) -> dict[str, object]:
    answer = httpx.post(f"{server.url}/v1/embeddings", json={"model": MINILM, "input": texts, **options}, timeout=60)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


def vectors(body: dict[str, object]) -> np.ndarray:
    data = body["data"]
    assert isinstance(data, list)
    return np.array([entry["embedding"] for entry in data])


def test_embeddings_equal_sentence_transformers(server: Server, texts: list[str], golden: np.ndarray) -> None:
    got = vectors(embed(server, texts))
    assert got.shape == golden.shape == (200, 384)
    assert (got * golden).sum(axis=1).min() >= 0.99999
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)


def test_embedding_does_not_depend_on_batch(server: Server, texts: list[str]) -> None:
    chosen = texts[::13]
    together = vectors(embed(server, chosen))
    reverse = vectors(embed(server, chosen[::-1]))[::-1]
    alone = np.concatenate([vectors(embed(server, [text])) for text in chosen])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, reverse, atol=1e-5)


def test_openai_client_unchanged(server: Server, texts: list[str], golden: np.ndarray) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        answer = client.embeddings.create(model=MINILM, input=texts[20:24])
        one = client.embeddings.create(model=MINILM, input=texts[20], dimensions=64, encoding_format="float")
        assert [model.id for model in client.models.list()] == [MINILM]
    got = np.array([entry.embedding for entry in answer.data])
    assert (got * golden[20:24]).sum(axis=1).min() >= 0.99999
    assert [entry.index for entry in answer.data] == [0, 1, 2, 3]
    assert answer.usage.prompt_tokens > 4
    expected = golden[20, :64] / np.linalg.norm(golden[20, :64])
    np.testing.assert_allclose(one.data[0].embedding, expected, atol=1e-5)


def test_truncation_is_reported(server: Server) -> None:
    body = embed(server, ["lamp " * 300, "lamp"])
    data = body["data"]
    assert isinstance(data, list)
    assert [entry["truncated"] for entry in data] == [True, False]
    assert body["usage"] == {"prompt_tokens": 256 + 3, "total_tokens": 256 + 3}


def test_raw_vectors_are_sent_to_a_client_that_prefers_them(server: Server, texts: list[str]) -> None:
    headers = {"Accept": "application/octet-stream, application/json;q=0.5"}
    inputs = ["word " * 400, *texts[8:20]]
    body = {"model": MINILM, "input": inputs, "dimensions": 64}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert (answer.headers["x-shape"], answer.headers["x-truncated"]) == ("13,64", "1")
    raw = np.frombuffer(answer.content, "<f4").reshape(13, 64)
    np.testing.assert_allclose(raw, vectors(embed(server, inputs, dimensions=64)), atol=1e-6)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, application/octet-stream"])
def test_json_is_sent_to_every_other_client(server: Server, accept: str) -> None:
    body = {"model": MINILM, "input": "a lamp"}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, headers={"Accept": accept}, timeout=60)
    assert answer.json()["object"] == "list"


@pytest.mark.parametrize("option", [{"attention": True}, {"encoding_format": "base64"}])
def test_raw_vectors_have_no_place_for_other_options(server: Server, option: dict[str, object]) -> None:
    headers = {"Accept": "application/octet-stream"}
    answer = httpx.post(f"{server.url}/v1/embeddings", json={"model": MINILM, "input": "a", **option}, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", next(iter(option)))
