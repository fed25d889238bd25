"""Tests of text-embeddings-inference's API: responses, errors, headers."""

from typing import Any

import httpx
import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.conftest import DEFAULT_SOURCE
from tests.server import Server
from tests.service.api.reference import TEXTS, is_close, post, reference_vectors

LONG = " ".join(f"word{i}" for i in range(400))


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_vectors_are_those_of_the_plain_route(server: Server, path: str) -> None:
    assert is_close(post(server, path, {"inputs": TEXTS}).json(), reference_vectors(server, TEXTS))
    assert is_close(post(server, path, {"inputs": TEXTS[0]}).json(), reference_vectors(server, TEXTS[:1]))


def test_dimensions_are_cut_before_scaling(server: Server) -> None:
    found = np.array(post(server, "/embed", {"inputs": TEXTS, "dimensions": 64}).json())
    assert is_close(found, reference_vectors(server, TEXTS, dimensions=64))
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_vectors_as_they_are_pooled_have_the_same_direction(server: Server) -> None:
    pooled = np.array(post(server, "/embed", {"inputs": TEXTS, "normalize": False}).json())
    lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
    assert (lengths > 1.5).all()
    assert is_close(pooled / lengths, reference_vectors(server, TEXTS))


@pytest.mark.parametrize("side", ["left", "Left"])
def test_long_text_is_cut_from_the_left_on_request(server: Server, side: str) -> None:
    tokenizer = Tokenizer.from_file(str(DEFAULT_SOURCE / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256, direction="left")
    last = reference_vectors(server, [tokenizer.encode(LONG).ids])
    assert is_close(post(server, "/embed", {"inputs": LONG, "truncation_direction": side}).json(), last)
    assert is_close(
        post(server, "/embed", {"inputs": LONG, "truncate": None}).json(), reference_vectors(server, [LONG])
    )
    assert not is_close(reference_vectors(server, [LONG]), last)


def test_token_ids_stand_for_their_text(server: Server) -> None:
    (tokens,) = post(server, "/tokenize", {"inputs": TEXTS[2]}).json()
    ids = [token["id"] for token in tokens]
    assert is_close(post(server, "/embed", {"inputs": ids}).json(), reference_vectors(server, TEXTS[2:]))
    assert is_close(
        post(server, "/embed", {"inputs": [ids, TEXTS[0]]}).json(), reference_vectors(server, [TEXTS[2], TEXTS[0]])
    )


def test_tokens_stand_in_the_text_by_its_bytes(server: Server) -> None:
    text = TEXTS[2]
    first, *tokens, last = post(server, "/tokenize", {"inputs": [text]}).json()[0]
    for special in (first, last):
        assert (special["special"], special["start"], special["stop"]) == (True, None, None)
    for token in tokens:
        assert text.encode()[token["start"] : token["stop"]].decode() == token["text"]
    bare = post(server, "/tokenize", {"inputs": [text], "add_special_tokens": False}).json()[0]
    assert bare == tokens
    assert len(post(server, "/tokenize", {"inputs": LONG}).json()[0]) > 800, "nothing is cut"


def test_ids_become_text_again(server: Server) -> None:
    (tokens,) = post(server, "/tokenize", {"inputs": "the old lamp"}).json()
    ids = [token["id"] for token in tokens]
    assert post(server, "/decode", {"ids": ids}).json() == ["the old lamp"]
    with_special = post(server, "/decode", {"ids": [ids, ids], "skip_special_tokens": False})
    assert with_special.json() == ["[CLS] the old lamp [SEP]"] * 2


def test_vectors_of_the_tokens_are_what_is_pooled(server: Server) -> None:
    found = post(server, "/embed_all", {"inputs": TEXTS}).json()
    ids = post(server, "/tokenize", {"inputs": TEXTS}).json()
    assert [len(text) for text in found] == [len(tokens) for tokens in ids]
    pooled = [np.mean(text, axis=0) for text in found]
    assert is_close(pooled, np.array(post(server, "/embed", {"inputs": TEXTS, "normalize": False}).json()))
    too_many = post(server, "/embed_all", {"inputs": ["lamp " * 300] * 100})
    assert (too_many.status_code, too_many.json()["error_type"]) == (422, "Validation")


@pytest.mark.parametrize("path", ["/similarity", "/"])
def test_similarity_is_the_cosine(server: Server, path: str) -> None:
    body = {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS}, "parameters": {}}
    found = np.array(post(server, path, body).json())
    one, *_ = made = reference_vectors(server, TEXTS)
    assert found == pytest.approx(made @ one, abs=1e-5)


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/embed", {"inputs": []}, 400, "Empty"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "Empty"),
        ("/decode", {"ids": []}, 400, "Empty"),
        ("/embed", {}, 422, "Validation"),
        ("/embed", {"inputs": None}, 422, "Validation"),
        ("/embed", {"inputs": "a", "dimensions": 0}, 422, "Validation"),
        ("/embed", {"inputs": "a", "dimensions": 385}, 422, "Validation"),
        ("/embed", {"inputs": "a", "truncation_direction": "up"}, 422, "Validation"),
        ("/embed", {"inputs": "a", "prompt_name": "query"}, 422, "Validation"),
        ("/embed", {"inputs": LONG, "truncate": False}, 422, "Validation"),
        ("/embed", {"inputs": ["a"] * 2049}, 422, "Validation"),
        ("/embed", {"inputs": [1, 40_000]}, 422, "Tokenizer"),
        ("/embed", {"inputs": [-1]}, 422, "Tokenizer"),
        ("/decode", {"ids": [40_000]}, 422, "Tokenizer"),
        ("/tokenize", {"inputs": "a" * 100_001}, 422, "Validation"),
        ("/embed", {"inputs": "a", "model": "gpt"}, 404, "Validation"),
    ],
)
def test_errors_have_its_shape_and_status(server: Server, path: str, body: Any, status: int, kind: str) -> None:
    answer = post(server, path, body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_type"}
    assert answer.json()["error_type"] == kind
    assert answer.json()["error"]


def test_headers_say_where_the_time_went(server: Server) -> None:
    headers = post(server, "/embed", {"inputs": "A lamp."}).headers
    names = ("x-tokenization-time", "x-queue-time", "x-inference-time")
    stages = [float(headers[name]) for name in names]
    assert all(stage >= 0 for stage in stages)
    assert stages[2] > 0
    assert float(headers["x-total-time"]) >= sum(stages) - 0.05
    assert (headers["x-compute-type"], headers["x-compute-characters"], headers["x-compute-tokens"]) == (
        "cpu",
        "7",
        "5",
    )


def test_info_and_health(server: Server) -> None:
    info = httpx.get(f"{server.url}/info").json()
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert (info["max_input_length"], info["max_client_batch_size"], info["model_dtype"]) == (256, 2048, "float32")
    health = httpx.get(f"{server.url}/health")
    assert (health.status_code, health.content) == (200, b"")
