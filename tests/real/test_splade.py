"""Tests of a small BERT in a plain transformers directory: its pickle is never opened."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModel, AutoTokenizer

from export.options import ExportOptions
from models.artifact.manifest import Manifest
from tests.export_cache import ExportCache
from tests.server import serve

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = ["The Lighthouse keeper reads.", "naïve CAFÉ über", "", "one two three " * 300]


@pytest.mark.checkpoints
def test_masked_language_model_exports_as_an_encoder(
    splade_source: Path, exports: ExportCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in its files says that its head was trained as SPLADE's, so it is a pre-trained BERT as others are."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(torch, "load", opened)
    assert (splade_source / "heads.pt").is_file()
    artifact = exports(splade_source, "splade-tiny")
    manifest = Manifest.read(artifact)
    assert manifest.text is not None
    assert (manifest.architecture, manifest.text.max_tokens) == ("bert", 512)
    tokenizer = AutoTokenizer.from_pretrained(splade_source)
    model = AutoModel.from_pretrained(splade_source, dtype=torch.float64).eval()
    with serve(artifact) as server:
        answer = httpx.post(f"{server.url}/v1/embeddings", json={"model": "splade-tiny", "input": TEXTS}, timeout=60)
    for text, entry in zip(TEXTS, answer.json()["data"], strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, truncation=True, return_tensors="pt")).last_hidden_state
        vector = torch.nn.functional.normalize(states.mean(dim=1))[0].numpy()
        np.testing.assert_allclose(entry["embedding"], vector, atol=1e-5)


@pytest.mark.checkpoints
def test_sparse_vectors_are_those_of_sentence_transformers(splade_source: Path, exports: ExportCache) -> None:
    artifact = exports(splade_source, "splade", ExportOptions(task="sparse"))
    texts = json.loads((GOLDEN / "splade.json").read_text())
    golden = load_file(GOLDEN / "splade.safetensors")
    ends = np.cumsum(golden["lengths"])[:-1]
    indices, values = (np.split(golden[name], ends) for name in ("indices", "values"))
    with serve(artifact) as server:
        answer = httpx.post(f"{server.url}/embed_sparse", json={"inputs": texts}, timeout=60)
    for found, of, weights in zip(answer.json(), indices, values, strict=True):
        vector = {entry["index"]: entry["value"] for entry in found}
        expected = dict(zip(of.tolist(), weights.tolist(), strict=True))
        for index in vector.keys() | expected.keys():  # a weight that rounds to 0 may be absent
            assert vector.get(index, 0.0) == pytest.approx(expected.get(index, 0.0), abs=1e-4)
