"""Reference embeddings of a plain `POST /v1/embeddings`, for comparison with each client's."""

from collections.abc import Sequence

import httpx
import numpy as np
from numpy.typing import ArrayLike

from tests.conftest import MINILM
from tests.server import Server

WIDTH = 384
TEXTS = [
    "The lamp warns ships.",
    "Un phare & <deux> côtes, où est-il?",
    "маяк 灯台 🗼",
    "A keeper sleeps.",
]
TOO_LONG = "alpha " * 200 + "omega " * 200
RIGHT_TRUNCATED, LEFT_TRUNCATED = "alpha " * 200 + "omega " * 54, "alpha " * 54 + "omega " * 200
"""What is left of it in 256 tokens, [CLS] and [SEP] among them, when its right end is cut, and when its left is."""
NO_SUCH_MODEL = "no-such-model"


def embed(server: Server, inputs: Sequence[object], *, model: str = MINILM, **options: object) -> np.ndarray:
    body = {"model": model, "input": inputs, **options}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]])


def assert_same(got: ArrayLike, expected: np.ndarray) -> None:
    """Of one vector or of several."""
    got = np.asarray(got)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
