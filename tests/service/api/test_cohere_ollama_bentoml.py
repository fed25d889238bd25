"""Tests of Cohere's, Ollama's and BentoML's APIs: responses and errors."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import MINILM
from tests.images import encode, gradient_image, to_data_url
from tests.server import Server
from tests.service.api.reference import TEXTS, is_close, post, reference_vectors

IMAGE_FILE = to_data_url(encode(gradient_image(90, 60), "PNG"))
LONG = "lamp " * 300


def cohere(server: Server, **fields: object) -> httpx.Response:
    return post(server, "/v2/embed", {"model": MINILM, "input_type": "search_document", **fields})


def test_cohere_gives_each_type_asked_for(server: Server) -> None:
    kinds = ["float", "base64", "binary", "ubinary"]
    answer = cohere(server, texts=TEXTS, embedding_types=kinds).json()
    expected = reference_vectors(server, TEXTS)
    found = answer["embeddings"]
    assert list(found) == kinds
    assert is_close(found["float"], expected)
    assert is_close([np.frombuffer(base64.b64decode(one), dtype="<f4") for one in found["base64"]], expected)
    bits = np.packbits(expected > 0, axis=1)
    assert found["ubinary"] == bits.tolist()
    assert found["binary"] == (bits.astype(int) - 128).tolist()
    assert answer["meta"]["billed_units"] == {"input_tokens": sum(len(t) for t in tokens(server))}


def tokens(server: Server) -> list[list[Any]]:
    found: list[list[Any]] = post(server, "/tokenize", {"inputs": TEXTS}).json()
    return found


def test_cohere_takes_images_and_contents(both: Server) -> None:
    expected = reference_vectors(both, [{"image": IMAGE_FILE}], model="scenes-vit")
    assert is_close(cohere(both, model="scenes-vit", images=[IMAGE_FILE]).json()["embeddings"]["float"], expected)
    inputs = [
        {"content": [{"type": "image_url", "image_url": {"url": IMAGE_FILE}}]},
        {"content": [{"type": "text", "text": TEXTS[0]}]},
    ]
    mixed = cohere(both, model="scenes-vit", inputs=inputs).json()
    assert is_close(mixed["embeddings"]["float"], np.concatenate([expected, reference_vectors(both, TEXTS[:1])]))


def test_cohere_cuts_the_side_that_is_named(server: Server) -> None:
    words = [" ".join(f"word{i}" for i in range(400))]
    by_side = {
        side: cohere(server, texts=words, truncate=side).json()["embeddings"]["float"] for side in ("START", "END")
    }
    assert is_close(by_side["END"], reference_vectors(server, words))
    left = post(server, "/embed", {"inputs": words, "truncation_direction": "left"}).json()
    assert is_close(by_side["START"], np.array(left, dtype=np.float32))


def test_cohere_takes_texts_that_are_within_its_limit(server: Server) -> None:
    limited = cohere(server, texts=["a", TEXTS[0]], max_tokens=len(tokens(server)[0]))
    assert is_close(limited.json()["embeddings"]["float"], reference_vectors(server, ["a", TEXTS[0]]))
    assert cohere(server, texts=[LONG], max_tokens=256).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"texts": ["a"], "images": [IMAGE_FILE]}, 400),
        ({"texts": []}, 400),
        ({"texts": ["a"], "embedding_types": ["int8"]}, 400),
        ({"texts": ["a"], "output_dimension": 385}, 400),
        ({"texts": [LONG], "truncate": "NONE"}, 400),
        ({"texts": ["a", TEXTS[0]], "max_tokens": 3}, 400),
        ({"texts": ["a", TEXTS[0]], "max_tokens": 3, "truncate": "NONE"}, 400),
        ({"texts": ["a"], "max_tokens": 0}, 400),
        ({"inputs": [{"content": []}]}, 400),
        ({"images": ["http://127.0.0.1/x.png"], "model": "scenes-vit"}, 404),
        ({"texts": ["a"], "model": "gpt"}, 404),
    ],
)
def test_cohere_errors_are_a_message(server: Server, fields: dict[str, Any], status: int) -> None:
    answer = cohere(server, **fields)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["message"], str)


def test_ollama_embeds(server: Server) -> None:
    answer = post(
        server, "/api/embed", {"model": f"{MINILM}:latest", "input": TEXTS, "options": {"num_ctx": 128}}
    ).json()
    assert is_close(answer["embeddings"], reference_vectors(server, TEXTS))
    assert answer["prompt_eval_count"] == sum(len(t) for t in tokens(server))
    assert answer["total_duration"] > 0
    cut = post(server, "/api/embed", {"model": MINILM, "input": TEXTS[0], "dimensions": 8}).json()["embeddings"]
    assert is_close(cut, reference_vectors(server, TEXTS[:1], dimensions=8))


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}])
def test_ollama_without_input_loads_the_model(server: Server, body: dict[str, Any]) -> None:
    answer = post(server, "/api/embed", {"model": MINILM, **body})
    assert (answer.status_code, answer.json()["embeddings"]) == (200, [])


def test_ollamas_older_route_gives_the_vector_as_it_is_pooled(server: Server) -> None:
    found = post(server, "/api/embeddings", {"model": MINILM, "prompt": TEXTS[0]}).json()["embedding"]
    pooled = post(server, "/embed", {"inputs": TEXTS[0], "normalize": False}).json()
    assert is_close([found], np.array(pooled, dtype=np.float32))


def test_ollama_lists_its_models(server: Server) -> None:
    (model,) = httpx.get(f"{server.url}/api/tags").json()["models"]
    assert (model["name"], model["details"]["embedding_length"]) == (f"{MINILM}:latest", 384)
    assert httpx.get(f"{server.url}/api/version").json()["version"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "gpt", "input": "a"}, 404),
        ({"model": "gpt", "input": []}, 404),
        ({"input": "a"}, 400),
        ({"model": MINILM, "input": [1]}, 400),
        ({"model": MINILM, "input": LONG, "truncate": False}, 400),
        ({"model": MINILM, "input": "a", "dimensions": -1}, 400),
    ],
)
def test_ollama_errors_are_a_string(server: Server, body: dict[str, Any], status: int) -> None:
    answer = post(server, "/api/embed", body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"], str)


def test_bentoml_describes_what_the_app_answers(server: Server) -> None:
    routes = {route["name"]: route for route in httpx.get(f"{server.url}/schema.json").json()["routes"]}
    assert routes["encode"]["route"] == "/encode"
    assert is_close(post(server, routes["encode"]["route"], {"texts": TEXTS}).json(), reference_vectors(server, TEXTS))
    assert "/encode" in httpx.get(f"{server.url}/docs.json").json()["paths"]
    assert post(server, "/encode", {"texts": []}).json()["error"]["param"] == "texts"
