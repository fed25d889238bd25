"""Tests of every text architecture: exported with fused attention, and at parity with the original."""

from pathlib import Path

import onnx
import pytest

from export.options import ExportOptions
from export.pipeline import export
from models.artifact.manifest import Manifest
from tests.dense import write_dense
from tests.export.sources import write_json, write_modules
from tests.export_cache import ExportCache
from tests.hf_text import CONFIGS, write_text
from tests.trained_weights import MAX_DEVIATION

LAYERS = {"albert-inner": 6}

UNLIKE = ["albert-inner", "deberta-v2-xlarge", "qwen3-sliding"]
"""Variants whose graphs are unlike those of their families."""


@pytest.mark.parametrize("kind", [*CONFIGS, *UNLIKE])
def test_text_encoder_exports(kind: str, exports: ExportCache, tmp_path: Path) -> None:
    manifest = Manifest.read(exports(write_text(kind, tmp_path), kind, ExportOptions(modality="text")))
    assert kind in CONFIGS or kind.startswith(f"{manifest.architecture}-")
    assert manifest.attention is not None
    assert manifest.graph.attention_operators == manifest.attention.num_layers == LAYERS.get(kind, 2)
    assert manifest.embedding.token_embeddings == "pooled"
    _judge(manifest)


@pytest.mark.parametrize(("kind", "linear"), [("deberta-v2", 2 * 6), ("gemma3_text-causal", 2 * 7)])
def test_every_linear_layer_becomes_bytes(kind: str, linear: int, exports: ExportCache, tmp_path: Path) -> None:
    artifact = exports(write_text(kind, tmp_path), kind, ExportOptions(precision="int8", allow_lossy=True))
    nodes = onnx.load(artifact / "model.onnx", load_external_data=False).graph.node
    assert sum(node.op_type == "MatMulIntegerToFloat" for node in nodes) == linear
    quality = Manifest.read(artifact).quality
    assert quality is not None
    assert quality.mean_cosine
    assert quality.mean_cosine > 0.99


@pytest.mark.parametrize(
    ("activations", "positions"), [(("linear.Identity",) * 2, "pooled"), (("activation.Tanh",), "projected")]
)
def test_dense_stages_export(activations: tuple[str, ...], positions: str, tmp_path: Path) -> None:
    source = write_text("bert", tmp_path / "source")
    folders = tuple(source / f"{i}_Dense" for i in range(2, 2 + len(activations)))
    for i, (folder, name) in enumerate(zip(folders, activations, strict=True)):
        write_dense(folder, 32 - 8 * i, 24 - 8 * i, activation_function=f"torch.nn.modules.{name}")
    write_json(source / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    write_modules(source, "Transformer", "Pooling", *("Dense",) * len(activations), "Normalize")
    manifest = export(source, tmp_path / "artifacts" / "dense")
    assert manifest.embedding.dim == 32 - 8 * len(activations)
    assert manifest.embedding.token_embeddings == positions
    _judge(manifest)


def _judge(manifest: Manifest) -> None:
    parity = manifest.parity
    assert parity.exact_weights > 0
    for figure in (
        parity.embedding,
        parity.token_embeddings,
        parity.weights,
        parity.relevance,
        parity.batch_invariance,
    ):
        assert figure is not None
        assert figure.graph <= MAX_DEVIATION
