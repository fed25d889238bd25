"""Tests of `POST /v1/attention/match` against the embeddings of both inputs."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from models.artifact.arrays import Floats
from service.app import create_app
from service.settings import Settings
from tests.images import encode, gradient_image, to_data_url

URL = "/v1/attention/match"
TEXTS = ["the old lamp", "sea ship, a lamp reads"]
IMAGES = [
    {"image": to_data_url(encode(gradient_image(90, 60)))},
    {"image": to_data_url(encode(gradient_image(20, 70)))},
]


@pytest.fixture(scope="module")
def client(tiny: Path, tiny_image: Path, tiny_conv: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=(tiny, tiny_image, tiny_conv)))) as client:
        yield client


def ask(client: TestClient, *inputs: object, **options: object) -> dict[str, Any]:
    answer = client.post(URL, json={"inputs": list(inputs), **options})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def tokens_of(client: TestClient, text: str) -> Floats:
    """[n, e]: what the text-embeddings-inference dialect says of the same."""
    (rows,) = client.post("/embed_all", json={"inputs": text, "model": "tiny"}).json()
    return np.array(rows, dtype=np.float32)


def embedding_of(client: TestClient, text: object, model: str = "tiny", **options: object) -> dict[str, Any]:
    answer = client.post("/v1/embeddings", json={"model": model, "input": [text], **options})
    return dict(answer.json()["data"][0])


def unit(rows: Any) -> Floats:
    found = np.array(rows, dtype=np.float32)
    scaled: Floats = found / np.linalg.norm(found, axis=-1, keepdims=True)
    return scaled


def test_match_of_two_texts(client: TestClient) -> None:
    found = ask(client, *TEXTS)
    vectors = [unit(embedding_of(client, text)["embedding"]) for text in TEXTS]
    assert (found["object"], found["model"]) == ("attention.match", "tiny")
    assert found["similarity"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert "not cause" in found["meaning"]
    for i, side in enumerate(found["inputs"]):
        rows = tokens_of(client, TEXTS[i])
        assert (side["index"], side["modality"], side["grid"], side["truncated"]) == (i, "text", None, False)
        np.testing.assert_allclose(side["similarities"], unit(rows) @ vectors[1 - i], atol=1e-5)
        assert sum(side["contributions"]) == pytest.approx(found["similarity"], abs=1e-5)
        own = embedding_of(client, TEXTS[i], attention=True)["attention"]
        np.testing.assert_allclose(side["relevance"], own["values"], atol=1e-6)
        assert side["tokens"] == own["tokens"]
    assert "pairs" not in found


def test_contribution_is_what_is_missing_without_it(client: TestClient) -> None:
    found = ask(client, *TEXTS)
    rows, other = tokens_of(client, TEXTS[0]), unit(embedding_of(client, TEXTS[1])["embedding"])
    length = np.linalg.norm(rows.mean(axis=0))
    for i, contribution in enumerate(found["inputs"][0]["contributions"]):
        without = np.delete(rows, i, axis=0).sum(axis=0) / len(rows) / length
        assert contribution == pytest.approx(found["similarity"] - float(without @ other), abs=1e-5)


def test_pairs_are_of_each_with_each(client: TestClient) -> None:
    found = ask(client, *TEXTS, pairs=True)
    a, b = (unit(tokens_of(client, text)) for text in TEXTS)
    np.testing.assert_allclose(found["pairs"], a @ b.T, atol=1e-5)


def test_words_instead_of_tokens(client: TestClient) -> None:
    by_token, by_word = (ask(client, "lamps, lamp", "the old lamp", units=u, pairs=True) for u in ("tokens", "words"))
    for token_side, word_side in zip(by_token["inputs"], by_word["inputs"], strict=True):
        assert len(word_side["tokens"]) <= len(token_side["tokens"])
        for name in ("contributions", "relevance"):
            assert len(word_side[name]) == len(word_side["tokens"])
            assert sum(word_side[name]) == pytest.approx(sum(token_side[name]), abs=1e-5)
        assert len(word_side["similarities"]) == len(word_side["tokens"])
    assert np.shape(by_word["pairs"]) == tuple(len(side["tokens"]) for side in by_word["inputs"])


def test_match_of_two_images(client: TestClient) -> None:
    found = ask(client, *IMAGES, model="tiny-image", pairs=True)
    assert [side["modality"] for side in found["inputs"]] == ["image", "image"]
    for side in found["inputs"]:
        cells = side["grid"]["rows"] * side["grid"]["columns"]
        assert len(side["similarities"]) == len(side["relevance"]) == len(side["grid"]["boxes_px"]) == cells
        assert side["tokens"] is None
        if side["contributions"]:
            assert sum(side["contributions"]) == pytest.approx(found["similarity"], abs=1e-5)


def test_match_of_an_input_with_itself(client: TestClient) -> None:
    assert ask(client, TEXTS[0], TEXTS[0])["similarity"] == pytest.approx(1, abs=1e-6)
    assert ask(client, "", "")["similarity"] == pytest.approx(1, abs=1e-6)


def test_model_without_attention_says_so_by_null(client: TestClient) -> None:
    found = ask(client, *IMAGES, model="tiny-conv")
    assert [side["relevance"] for side in found["inputs"]] == [None, None]
    assert all(np.isfinite(side["similarities"]).all() for side in found["inputs"])


def test_token_ids_are_taken_too(client: TestClient) -> None:
    found = ask(client, [1, 5, 2], TEXTS[0], model="tiny")
    assert len(found["inputs"][0]["similarities"]) == 3


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"inputs": ["one"]}, "invalid_input", "inputs"),
        ({"inputs": ["one", "two", "three"]}, "invalid_input", "inputs"),
        ({"inputs": []}, "invalid_input", "inputs"),
        ({"inputs": "one"}, "invalid_input", "inputs"),
        ({}, "invalid_input", "inputs"),
        ({"inputs": ["one", 2]}, "invalid_input", "inputs[1]"),
        ({"inputs": ["one", None]}, "invalid_input", "inputs[1]"),
        ({"inputs": ["one", {"image": "https://example.org/cat.png"}]}, "invalid_input", "inputs[1]"),
        ({"inputs": [IMAGES[0], {"image": "AAAA"}]}, "invalid_image", "inputs[1]"),
        ({"inputs": ["one", [2, 10**6]]}, "invalid_tokens", "inputs[1]"),
        ({"inputs": [[2, 3], "two"], "units": "words"}, "invalid_parameter", "units"),
        ({"inputs": ["one", "two"], "units": "letters"}, "invalid_parameter", "units"),
        ({"inputs": ["one", "two"], "pairs": "yes"}, "invalid_input", "pairs"),
    ],
)
def test_match_refuses_incomparable_inputs(client: TestClient, body: object, code: str, param: str) -> None:
    answer = client.post(URL, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param), error


def test_unknown_model_is_none(client: TestClient) -> None:
    answer = client.post(URL, json={"inputs": ["one", "two"], "model": "none"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_pairs_past_what_is_given_are_refused(tiny: Path) -> None:
    with TestClient(create_app(Settings(models=(tiny,), max_attention_bytes=4_096))) as client:
        long = "lamp " * 40
        answer = client.post(URL, json={"inputs": [long, long], "pairs": True})
        assert answer.json()["error"]["code"] == "attention_too_large"
        assert client.post(URL, json={"inputs": ["lamp", "lamp"], "pairs": True}).status_code == 200


def test_answer_of_every_image_is_its_own_in_base64_too(client: TestClient) -> None:
    bare = base64.b64encode(encode(gradient_image(90, 60))).decode()
    assert ask(client, {"image": bare}, IMAGES[0])["similarity"] == pytest.approx(1, abs=1e-6)
