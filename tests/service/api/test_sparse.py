"""Tests of sparse vectors over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.artifact import tensors
from models.artifact.arrays import Floats
from service.app import create_app
from service.runtime.encoder import TextEncoder, open_encoder
from service.settings import Settings

TEXTS = ["the old lamp", "a keeper reads the light", "sea", "the lamp " * 30]


@pytest.fixture(scope="module")
def client(heads: list[Path], tiny: Path, tiny_image: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=(tiny, *heads, tiny_image)))) as client:
        yield client


@pytest.fixture(scope="module")
def encoder(heads: list[Path]) -> TextEncoder:
    directory = next(path for path in heads if path.name == "splade")
    encoder = open_encoder(directory)
    assert isinstance(encoder, TextEncoder)
    return encoder


@pytest.fixture(scope="module")
def weights(encoder: TextEncoder) -> list[Floats]:
    """The weights of TEXTS over the vocabulary, each alone."""
    return [encoder.run([item.data])[tensors.OUTPUT][0] for item in encoder.preprocess(TEXTS)]


def post(client: TestClient, path: str, **body: object) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def dense(indices: list[int], values: list[float], size: int) -> Floats:
    vector = np.zeros(size, np.float32)
    vector[indices] = values
    return vector


def test_text_embeddings_inference_gets_index_and_value(client: TestClient, weights: list[Floats]) -> None:
    for found, expected in zip(post(client, "/embed_sparse", inputs=TEXTS), weights, strict=True):
        indices = [entry["index"] for entry in found]
        assert indices == np.flatnonzero(expected).tolist()
        np.testing.assert_allclose([entry["value"] for entry in found], expected[indices], atol=1e-5)


def test_embeddings_endpoint_answers_as_qdrant_takes_them(client: TestClient, weights: list[Floats]) -> None:
    answer = post(client, "/v1/embeddings", model="splade", input=TEXTS, sparse=True)
    for entry, expected in zip(answer["data"], weights, strict=True):
        assert "embedding" not in entry
        assert entry["sparse"].keys() == {"indices", "values"}
        np.testing.assert_allclose(dense(**entry["sparse"], size=len(expected)), expected, atol=1e-5)
    assert answer["data"][3]["truncated"]


def test_each_entry_names_its_word_and_the_token_it_is_of(client: TestClient, encoder: TextEncoder) -> None:
    body = {"model": "splade", "input": TEXTS[1], "sparse": {"tokens": True}, "attention": True}
    (entry,) = post(client, "/v1/embeddings", **body)["data"]
    tokens = entry["attention"]["tokens"]
    (item,) = encoder.preprocess([TEXTS[1]])
    of_token = encoder.run([item.data], (tensors.OUTPUT, tensors.SPARSE_TOKENS))[tensors.SPARSE_TOKENS][0]
    for index, token in zip(entry["sparse"]["indices"], entry["sparse"]["tokens"], strict=True):
        assert token == {"text": encoder.vocabulary_token(index), "token": int(of_token[index])}
        assert token["token"] < len(tokens)


def test_vectors_without_tokens_are_remembered_and_those_with_them_computed(heads: list[Path]) -> None:
    directory = next(path for path in heads if path.name == "splade")
    with TestClient(create_app(Settings(models=(directory,), cache_bytes=1_000_000))) as client:
        for tokens in (False, True, False, True):
            body = {"model": "splade", "input": TEXTS[0], "sparse": {"tokens": tokens}}
            (entry,) = post(client, "/v1/embeddings", **body)["data"]
            assert ("tokens" in entry["sparse"]) == tokens


@pytest.mark.parametrize("option", [{"dimensions": 4}, {"normalize": True}, {"encoding_format": "base64"}])
def test_options_of_embeddings_are_refused(client: TestClient, option: dict[str, object]) -> None:
    answer = client.post("/v1/embeddings", json={"model": "splade", "input": "a", "sparse": True, **option})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", next(iter(option)))


@pytest.mark.parametrize(
    ("model", "body"),
    [("tiny", {"sparse": True}), ("reranker", {"sparse": True}), ("tiny-image", {"sparse": True}), ("splade", {})],
)
def test_model_without_the_task_is_refused(client: TestClient, model: str, body: dict[str, object]) -> None:
    answer = client.post("/v1/embeddings", json={"model": model, "input": "a", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "task_not_supported", "model")


def test_text_embeddings_inference_says_failed_dependency(client: TestClient) -> None:
    answer = client.post("/embed_sparse", json={"inputs": "a", "model": "tiny"})
    assert (answer.status_code, answer.json()["error_type"]) == (424, "Backend")


def test_served_models_name_the_task(client: TestClient) -> None:
    model = client.get("/v1/models/splade").json()
    assert (model["tasks"], model["dimensions"], model["space"], model["labels"]) == (["sparse"], None, None, None)
    assert client.get("/info?model=splade").json()["model_type"] == {"embedding": {"pooling": "splade"}}
