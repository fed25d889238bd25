"""Tests of a small BERT in a plain transformers directory: its pickle is never opened."""

from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from models.artifact.manifest import Manifest
from tests.export_cache import ExportCache
from tests.server import serve

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
