"""Every text architecture exports fused, and answers as the trained original: parity is measured on the way."""

from pathlib import Path

import pytest

from export.options import Options
from models.contract.manifest import Manifest
from tests.exports import Exports
from tests.hf_text import CONFIGS, write_text


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_text_encoder_exports(kind: str, exports: Exports, tmp_path: Path) -> None:
    manifest = Manifest.read(exports(write_text(kind, tmp_path), kind, Options(modality="text")))
    assert manifest.architecture == kind
    assert manifest.attention is not None
    assert manifest.graph.attention_operators == manifest.attention.layers == 2
    parity = manifest.parity
    assert manifest.embedding.positions == "parts"
    for figure in (parity.embedding, parity.positions, parity.weights, parity.relevance, parity.batch):
        assert figure is not None
        assert figure.limit is not None
        assert figure.graph <= figure.limit
