"""Tests of native encoders: each exports at parity, and other directories are refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.torch import load_file, save_file

from export.errors import SourceError
from export.options import ExportOptions
from export.pipeline import export
from export.targets.loader import load_target
from models.artifact import tensors
from models.artifact.graph_inputs import output_selection_inputs
from models.artifact.manifest import Manifest
from models.artifact.specs import AttentionSpec
from models.encoders.vit import VitConfig
from tests.checkpoints import write_image_encoder
from tests.encoders import CONFIGS, random_images, write_checkpoint
from tests.export_cache import ExportCache

NAMES = ["text-relative", "vit-relative", "alternet", "nonlocal-shared", "dynamic-conv", "conv"]
"""One of each kind, in its least usual form; the others go through the server's tests."""


@pytest.mark.parametrize("name", NAMES)
def test_encoder_of_ours_exports(name: str, exports: ExportCache, tmp_path: Path) -> None:
    artifact = exports(write_checkpoint(name, tmp_path), name)
    manifest = Manifest.read(artifact)
    assert manifest.architecture == CONFIGS[name]["kind"]
    assert manifest.embedding.space == name
    assert manifest.embedding.token_embeddings == "pooled"
    assert manifest.parity.token_embeddings.graph <= 1e-5
    if manifest.attention is None:
        assert manifest.graph.outputs == ("item_output", "token_embeddings")
        return
    assert manifest.graph.attention_operators == manifest.attention.num_layers
    always = onnx.load(artifact / "model.onnx", load_external_data=False).graph.node
    assert "Softmax" not in {node.op_type for node in always}


def test_image_graph_takes_any_batch_and_tells_attention_on_the_grid(exports: ExportCache, tmp_path: Path) -> None:
    artifact = exports(write_checkpoint("alternet", tmp_path), "alternet")
    manifest = Manifest.read(artifact)
    assert manifest.image is not None
    assert manifest.attention is not None
    assert (manifest.image.grid, manifest.image.num_prefix_tokens, manifest.attention.heads) == ((8, 8), 0, (6, 12, 24))
    session = onnxruntime.InferenceSession(artifact / "model.onnx")
    asked = [tensors.pooled_reduction("rollout"), tensors.layer_weights(2)]
    asking_all_heads = output_selection_inputs(manifest.graph.outputs, asked, range(24))
    for count in (1, 5):
        outputs = session.run(asked, {"pixels": random_images(count).numpy(), **asking_all_heads})
        assert [array.shape for array in outputs] == [(count, 64), (count, 24, 64, 64)]
        for array in outputs:
            np.testing.assert_allclose(array.sum(axis=-1), 1, atol=1e-5)


def test_space_of_a_config_is_the_artifacts(tmp_path: Path) -> None:
    source = write_checkpoint("conv", tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "space": "all-MiniLM-L6-v2"}))
    assert load_target(source, ExportOptions()).embedding_spec("conv").space == "all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "resnet"}, "no encoder of kind 'resnet'; known: text, vit"),
        ({"heads": 7}, "7 and 48"),
        ({"layers": 3}, "does not fit config.json"),
        ({"color": 1}, "color: Extra inputs"),
        ({"layers": 1_000_000_000}, "layers: Input should be less than or equal to 1024"),
        ({"width": 3 * 65_536}, "width: Input should be less"),
        ({"width": 3 * 16_384}, "does not fit config.json"),
    ],
)
def test_checkpoint_that_cannot_be_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    source = write_checkpoint("vit", tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(SourceError, match=message):
        export(source, tmp_path / "artifacts" / "vit")
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_weights_that_are_not_finite_seal_nothing(tmp_path: Path) -> None:
    source = write_checkpoint("conv", tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    weights["head.bias"][0] = float("nan")
    save_file(weights, source / "model.safetensors")
    with pytest.raises(SourceError, match=r"has a value in head\.bias that is not finite"):
        export(source, tmp_path / "artifacts" / "conv")


def test_text_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    source = write_checkpoint("text", tmp_path / "source")
    (source / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"has no tokenizer\.json"):
        load_target(source, ExportOptions())


@pytest.mark.parametrize("name", ["vit", "conv"])
def test_images_in_half_floats(name: str, tmp_path: Path) -> None:
    manifest = export(
        write_checkpoint(name, tmp_path / "source"), tmp_path / "artifacts" / "half", ExportOptions(device="cuda")
    )
    assert (manifest.precision, manifest.graph.devices) == ("fp16", ("cuda",))
    assert manifest.quality is not None
    assert manifest.quality.mean_cosine
    assert manifest.quality.mean_cosine >= 0.999


def test_attention_with_one_head_works(tmp_path: Path) -> None:
    config = VitConfig(image_px=32, patch_px=16, width=16, layers=1, heads=1, embedding_width=8)
    manifest = export(write_image_encoder(config, tmp_path / "source"), tmp_path / "artifacts" / "one")
    assert manifest.attention == AttentionSpec(heads=(1,))
