"""Tests of the parity gate: what it accepts and refuses."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers

from export import parity, weight_copies
from export.errors import ParityError
from export.options import ExportOptions
from export.targets.base import ExportTarget
from export.targets.loader import load_target
from models.artifact.artifact_files import GRAPH_FILE, WEIGHTS_FILE
from models.artifact.manifest import Deviation, Parity
from models.precision import convert
from tests.checkpoints import write_bert
from tests.hf_text import write_text

CHANGED = 0.01


def _parity(**figures: Deviation) -> Parity:
    none = Deviation(graph=0, original=0, limit=1e-5)
    named = dict.fromkeys(
        ("embedding", "embedding_cosine", "token_embeddings", "weights", "relevance", "batch_invariance"), none
    )
    return Parity(num_inputs=1, exact_weights=1, **(named | figures))


def _measured(directory: Path, source: Path) -> Parity:
    return parity.measure(directory, load_target(source, ExportOptions()))


@pytest.mark.parametrize("number", [0, 6, 12, 18, 24, 30], ids=lambda number: f"tensor_{number}")
def test_weight_off_by_one_percent_is_refused(number: int, tiny: Path, tiny_source: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(tiny, tmp_path / "changed")
    graph = onnx.load(changed / GRAPH_FILE, load_external_data=False).graph
    tensors = [t for t in graph.initializer if t.external_data and t.data_type == onnx.TensorProto.FLOAT]
    tensor = tensors[number * len(tensors) // 36]
    place = {entry.key: int(entry.value) for entry in tensor.external_data if entry.key != "location"}
    values = np.memmap(changed / WEIGHTS_FILE, np.float32, "r+", place["offset"], (place["length"] // 4,))
    values[len(values) // 2] += CHANGED * np.abs(values).max()
    values.flush()
    with pytest.raises(ParityError, match="disagrees with the original"):
        parity.check_tolerances(_measured(changed, tiny_source))


def test_weights_of_trained_shape_pass_by_the_originals_own_error(tiny: Path, tiny_source: Path) -> None:
    found = _measured(tiny, tiny_source)
    parity.check_tolerances(found)
    assert found.weights is not None
    assert found.weights.original is not None
    assert found.weights.limit is not None
    assert parity.TOLERANCES["fp32"]["weights"] < found.weights.limit < parity.CEILINGS["fp32"]


def test_another_encoder_of_the_same_sizes_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_copies, "compare", lambda *_, **__: 0)
    with pytest.raises(ParityError, match=r"embedding \S+ > 1\.0e-05 \(error of the reference in this precision"):
        parity.check_tolerances(_measured(tiny, write_bert(tmp_path / "other", seed=7)))


def test_limit_follows_the_original_between_floor_and_ceiling() -> None:
    def limit(own: float) -> float | None:
        found = parity._deviation("weights", {"weights": 0.0}, {"weights": own}, "fp32")
        return None if found is None else found.limit

    assert limit(1e-7) == 1e-5
    assert limit(2e-5) == pytest.approx(6e-5)
    assert limit(1.0) == parity.CEILINGS["fp32"]
    assert limit(float("nan")) == 1e-5


def test_figure_past_its_limit_names_both_numbers() -> None:
    off = Deviation(graph=2e-4, original=None, limit=1e-4)
    said = r"weights 2\.0e-04 > 1\.0e-04 \(error of the reference in this precision: not finite\)"
    with pytest.raises(ParityError, match=said):
        parity.check_tolerances(_parity(weights=off))
    assert Parity.model_validate_json(_parity(weights=off).model_dump_json()).weights == off


@pytest.mark.parametrize("kind", ["qwen3", "gemma3_text", "modernbert", "siglip"])
def test_original_in_half_precision_answers(kind: str, tmp_path: Path) -> None:
    subject: ExportTarget = load_target(write_text(kind, tmp_path, like_trained=False), ExportOptions(modality="text"))
    items = subject.dummy_inputs()
    for half, full in zip(
        subject.reference_outputs(items, torch.float16), subject.reference_outputs(items), strict=True
    ):
        assert half.output @ full.output > 0.999


def test_rotary_frequencies_keep_their_precision() -> None:
    model = transformers.Qwen3Model(
        transformers.Qwen3Config(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, head_dim=8)
    )
    assert convert(model, torch.float16).rotary_emb.inv_freq.dtype == torch.float32
    assert model.dtype == torch.float16
