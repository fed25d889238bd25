"""Reference embeddings of `/v1/embeddings`, which every API must return."""

from typing import Any

import httpx
import numpy as np

from models.artifact.arrays import Floats
from tests.conftest import MINILM
from tests.server import Server

TEXTS = ["A lighthouse keeper reads by the lamp.", "", "Der Leuchtturm warnt Schiffe 🎈 vor Felsen."]


def reference_vectors(server: Server, inputs: Any, model: str = MINILM, **options: object) -> Floats:
    """`[b, e]`"""
    answer = httpx.post(f"{server.url}/v1/embeddings", json={"model": model, "input": inputs, **options}, timeout=60)
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)


def post(server: Server, path: str, body: Any, **more: Any) -> httpx.Response:
    """Any dialect's request."""
    return httpx.post(server.url + path, json=body, timeout=60, **more)


def is_close(got: object, expected: Floats) -> bool:
    """Equal but for rounding: batches of other lengths round otherwise."""
    array = np.array(got, dtype=np.float32)
    return array.shape == expected.shape and bool(np.abs(array - expected).max() < 1e-5)
