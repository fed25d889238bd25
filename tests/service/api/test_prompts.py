"""Tests of prompts, by each API's name for them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

PROMPTS = {"query": "the old ", "document": "light "}
TEXT = "lamp reads"


def with_prompts(artifact: Path, directory: Path, **prompts: str) -> Path:
    """Copy an artifact and give it prompts."""
    shutil.copytree(artifact, directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["text"]["prompts"] = prompts
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


@pytest.fixture
def client(tiny: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A model with prompts."""
    prompted = with_prompts(tiny, tmp_path / "tiny", **PROMPTS)
    with TestClient(create_app(Settings(models=(prompted,)))) as client:
        yield client


@pytest.fixture
def expected(client: TestClient) -> dict[str, list[float]]:
    """Vectors of the text behind each prompt."""
    answer = client.post("/encode", json={"texts": [prompt + TEXT for prompt in PROMPTS.values()]}).json()
    return dict(zip(PROMPTS, answer, strict=True))


@pytest.mark.parametrize("name", PROMPTS)
def test_text_embeddings_inference(client: TestClient, expected: dict[str, list[float]], name: str) -> None:
    (found,) = client.post("/embed", json={"inputs": TEXT, "prompt_name": name}).json()
    assert np.allclose(found, expected[name], atol=1e-6)
    tokens = client.post("/tokenize", json={"inputs": TEXT, "prompt_name": name}).json()[0]
    assert [token["text"] for token in tokens if not token["special"]] == TEXT.split()


@pytest.mark.parametrize("name", PROMPTS)
def test_cohere(client: TestClient, expected: dict[str, list[float]], name: str) -> None:
    body = {"model": "tiny", "texts": [TEXT], "input_type": f"search_{name}"}
    (found,) = client.post("/v2/embed", json=body).json()["embeddings"]["float"]
    assert np.allclose(found, expected[name], atol=1e-6)


def test_weaviate(client: TestClient, expected: dict[str, list[float]]) -> None:
    body = {"text": TEXT, "config": {"task_type": "query"}}
    assert np.allclose(client.post("/vectors", json=body).json()["vector"], expected["query"], atol=1e-6)
    unknown = {"text": TEXT, "config": {"task_type": "passage"}}
    assert not np.allclose(client.post("/vectors", json=unknown).json()["vector"], expected["query"], atol=1e-3)


def test_unknown_prompt_names_those_there_are(client: TestClient) -> None:
    answer = client.post("/embed", json={"inputs": TEXT, "prompt_name": "riddle"})
    assert (answer.status_code, answer.json()["error"]) == (
        422, "prompt_name: unknown prompt; available: query, document",
    )  # fmt: skip
