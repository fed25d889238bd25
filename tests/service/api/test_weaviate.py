"""Tests of Weaviate's API: what its modules send, and what they read of the response."""

import base64

import httpx
import pytest

from tests.images import encode, gradient_image, to_data_url
from tests.server import Server
from tests.service.api.reference import TEXTS, is_close, post, reference_vectors

IMAGE_FILE = encode(gradient_image(90, 60), "PNG")
BASE64 = base64.b64encode(IMAGE_FILE).decode()


@pytest.mark.parametrize("path", ["/vectors", "/vectors/"])
def test_text_as_text2vec_transformers_sends_it(server: Server, path: str) -> None:
    config = {"pooling_strategy": "masked_mean", "task_type": "passage"}
    body = {"text": TEXTS[0], "dims": 0, "vector": None, "error": "", "config": config}
    answer = post(server, path, body)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["text"], found["dims"], found["dim"]) == (TEXTS[0], 384, 384)
    assert is_close([found["vector"]], reference_vectors(server, TEXTS[:1]))


def test_dimensions_of_the_class_are_kept(server: Server) -> None:
    found = post(server, "/vectors", {"text": TEXTS[0], "config": {"dimensions": 32}}).json()
    assert is_close([found["vector"]], reference_vectors(server, TEXTS[:1], dimensions=32))


def test_texts_and_images_as_multi2vec_clip_sends_them(both: Server) -> None:
    found = post(both, "/vectorize", {"texts": TEXTS, "images": [BASE64]}).json()
    assert is_close(found["textVectors"], reference_vectors(both, TEXTS))
    assert is_close(
        found["imageVectors"], reference_vectors(both, [{"image": to_data_url(IMAGE_FILE)}], model="scenes-vit")
    )
    assert post(both, "/vectorize", {"texts": TEXTS[:1]}).json()["imageVectors"] == []
    assert post(both, "/vectorize", {"images": [BASE64]}).json()["textVectors"] == []


def test_triton_client_checks_liveness(server: Server) -> None:
    assert httpx.get(f"{server.url}/.well-known/ready").status_code == 204
    assert httpx.get(f"{server.url}/.well-known/live").status_code == 204
    assert isinstance(httpx.get(f"{server.url}/meta").json(), dict)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/vectors", {}, 400),
        ("/vectors", {"text": 3}, 400),
        ("/vectorize", {}, 400),
        ("/vectorize", {"texts": [], "images": None}, 400),
        ("/vectorize", {"texts": ["a", 1]}, 400),
        ("/vectorize", {"images": [BASE64]}, 404),
        ("/vectorize", {"texts": ["a"] * 2049}, 400),
    ],
)
def test_errors_are_a_string(server: Server, path: str, body: object, status: int) -> None:
    answer = post(server, path, body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"], str)
