"""Tests of every image architecture: exported with fused attention, and at parity with the original."""

from pathlib import Path

import pytest

from export.options import ExportOptions
from export.pipeline import export
from tests.hf_vision import SAMPLES, write_checkpoint
from tests.trained_weights import MAX_DEVIATION


@pytest.mark.parametrize("name", SAMPLES)
def test_image_encoder_exports(name: str, tmp_path: Path) -> None:
    write_checkpoint(name, tmp_path / "source")
    sample = SAMPLES[name]
    manifest = export(
        tmp_path / "source", tmp_path / "artifacts" / "model", ExportOptions(modality="image", task="embed")
    )
    assert manifest.image is not None
    assert manifest.attention is not None
    assert (manifest.image.grid, manifest.image.num_prefix_tokens) == (sample.grid, sample.prefix)
    assert (manifest.embedding.dim, manifest.embedding.pooling) == (sample.width, sample.pooling)
    assert manifest.graph.attention_operators == manifest.attention.num_layers + (sample.pooling == "attention")
    parity = manifest.parity
    assert manifest.embedding.token_embeddings == {
        "beit": "projected",
        "siglip": "hidden_states",
        "siglip-vision": "hidden_states",
    }.get(name, "pooled")
    for figure in (
        parity.embedding,
        parity.token_embeddings,
        parity.weights,
        parity.relevance,
        parity.batch_invariance,
    ):
        assert figure is not None
        assert figure.graph <= MAX_DEVIATION
