"""Tests of huggingface_hub's InferenceClient, which posts every task to the URL that it was given.

With the server's base URL, both tasks come to `POST /`. Only `inputs` distinguishes them: a text, or an object with one
sentence and the sentences to compare it with.
"""

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from tests.clients.reference import LEFT_TRUNCATED, RIGHT_TRUNCATED, TEXTS, TOO_LONG, assert_same, embed
from tests.server import Server


@pytest.fixture(params=["", "/embed"])
def client(server: Server, request: pytest.FixtureRequest) -> InferenceClient:
    return InferenceClient(server.url + request.param)


def test_features(client: InferenceClient, expected: np.ndarray) -> None:
    assert_same(client.feature_extraction(TEXTS), expected)
    assert_same(client.feature_extraction(TEXTS[0]), expected[:1])  # one text too has a list of vectors for an answer
    assert_same(client.feature_extraction(TEXTS, normalize=True, truncate=False), expected)


def test_dimensions(client: InferenceClient, expected_64: np.ndarray) -> None:
    assert_same(client.feature_extraction(TEXTS, dimensions=64), expected_64)


def test_vectors_as_the_model_pools_them(client: InferenceClient, expected: np.ndarray) -> None:
    raw = client.feature_extraction(TEXTS, normalize=False)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).min() > 1e-3
    assert_same(raw / lengths, expected)


@pytest.mark.parametrize(
    ("direction", "kept"), [("right", RIGHT_TRUNCATED), ("left", LEFT_TRUNCATED), (None, RIGHT_TRUNCATED)]
)
def test_truncation(client: InferenceClient, server: Server, direction: str | None, kept: str) -> None:
    got = client.feature_extraction(TOO_LONG, truncate=True, truncation_direction=direction)  # type: ignore[arg-type]
    assert_same(got, embed(server, [kept], truncate=False))


@pytest.mark.parametrize("path", ["", "/similarity"])
def test_similarity(server: Server, expected: np.ndarray, path: str) -> None:
    got = InferenceClient(server.url + path).sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    assert_same(got, expected[1:] @ expected[0])


def test_errors_are_its_own(client: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="256") as caught:
        client.feature_extraction(TOO_LONG, truncate=False)
    assert caught.value.response.status_code == 422
    with pytest.raises(BadRequestError, match="empty"):
        client.feature_extraction([])
