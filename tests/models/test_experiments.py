"""Tests of the experiments: they run, theorems hold in them, and docs/explanation/attention.md has their figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.attention import AttentionRecorder
from models.encoders import checkpoint
from models.encoders.image import ImageEncoder
from models.encoders.registry import build
from models.experiments import deletion, document, encoders, positions
from models.experiments.__main__ import DOCUMENT, PLOTS, main
from models.experiments.comparison import TOLERANCE, count_parameters
from models.experiments.convolutions import configs
from models.experiments.deletion_items import image_items, text_items
from models.experiments.intervals import bootstrap_interval
from models.experiments.kernels import movement
from models.experiments.recording import record_scores
from models.experiments.registry import EXPERIMENTS
from models.experiments.scores import max_cosine_weight, random_weights
from models.layers.projection import Projection
from models.layers.self_attention import INITIAL_SCALE
from tests.conftest import SCENES_VIT_SOURCE

ROOT = Path(__file__).parents[2]
LARGEST_PLOT_BYTES = 150_000


@pytest.fixture(scope="module")
def found(minilm_source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every experiment's JSON, of a quick run."""
    out = tmp_path_factory.mktemp("plots")
    absent = str(out / "no-image-model")
    assert main(["--quick", "--out", str(out), "--text-model", str(minilm_source), "--image-model", absent]) == 0
    assert {path.stem for path in out.glob("*.svg")} == set(EXPERIMENTS)
    return {name: json.loads((out / f"{name}.json").read_text()) for name in EXPERIMENTS}


def test_permutation_laws(found: dict[str, Any]) -> None:
    result = found["positions"]
    assert result["equivariance"] < 1e-12
    assert result["key_value_invariance"] < 1e-12
    shuffled = {name: each["moved"] for name, each in result["shuffled"].items()}
    assert shuffled.pop("no position") < 1e-5


def test_positions_break_the_law() -> None:
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (4, 48, 48, 3), dtype=torch.uint8)
    assert positions.displacement(build(encoders.vit(position="none")).eval(), pixels) < 1e-5
    assert positions.displacement(build(encoders.vit(position="sinusoidal")).eval(), pixels) > 1e-4


def test_single_patch_attends_to_itself(found: dict[str, Any]) -> None:
    result = found["one_cell"]
    assert result["largest_deviation"] == 0
    assert [own[0] for own in result["own"].values()] == [1, 1, 1]
    # Query and key weights and biases of the last attention, and its relative bias.
    assert result["idle"] >= 2 * 512 * 24 * 64
    assert result["idle_at_64_px"] < result["idle"] / 100


def test_convolutions_kernel_does_not_move_and_attention_is_never_negative(found: dict[str, Any]) -> None:
    for name, kernels in found["specificity"]["kernels"].items():
        attends, convolves = name.startswith("attention"), name.startswith("convolution")
        assert (kernels["negative"] == 0) == attends
        assert all((moved == 0) == convolves for moved in kernels["moved"])
        if attends:
            assert kernels["sums"] == pytest.approx([1, 1], abs=1e-5)


def test_movement_is_zero_of_equal_kernels_and_at_most_one() -> None:
    kernels = torch.randn(1, 5, 9, generator=torch.Generator().manual_seed(0))
    assert movement(kernels.expand(7, 5, 9)) == 0
    assert movement(torch.cat([kernels, -kernels])) == pytest.approx(1)


def test_scaling_holds_the_variance(found: dict[str, Any]) -> None:
    result = found["scaling"]
    for width, scaled, unscaled in zip(result["widths"], result["scaled"], result["unscaled"], strict=True):
        assert scaled["variance"] == pytest.approx(1, abs=0.2)
        assert unscaled["variance"] == pytest.approx(width, rel=0.2)
    narrow, wide = (result["unscaled"][index] for index in (4, -1))
    assert wide["entropy"] < narrow["entropy"] / 4
    assert wide["score_gradient_median"] < narrow["score_gradient_median"] / 20
    entropies = [at["entropy"] for at in result["scaled"]]
    assert max(entropies) - min(entropies) < 0.03


def test_cosine_is_blind_to_length_and_bounded() -> None:
    weights = random_weights("cosine", 1.0)
    torch.testing.assert_close(random_weights("cosine", 16.0), weights)
    assert not torch.allclose(random_weights("dot", 16.0), random_weights("dot", 1.0), atol=0.1)
    assert weights.max() <= max_cosine_weight(INITIAL_SCALE, weights.shape[-1])
    opposite = torch.tensor([1.0, *[-1.0] * 4]) * 2
    assert opposite.softmax(0).max().item() == pytest.approx(max_cosine_weight(2, 5))


@pytest.mark.parametrize("projection", ["shared", "none"])
def test_scores_without_own_projections_are_symmetric(projection: Projection) -> None:
    encoder = build(encoders.vit(projection=projection)).eval()
    seen = record_scores(encoder, torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8))
    for scores in seen.scores:
        torch.testing.assert_close(scores, scores.transpose(-1, -2))


def test_watching_changes_nothing() -> None:
    encoder = build(encoders.vit(position="relative")).eval()
    pixels = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)
    recorder, seen = AttentionRecorder(record=True), record_scores(encoder, pixels)
    encoder(pixels, recorder)
    for weights, ours, scores in zip(recorder.weights, seen.weights, seen.scores, strict=True):
        torch.testing.assert_close(weights, ours)
        torch.testing.assert_close(weights, scores.softmax(dim=-1))


def test_equal_parameters_are_equal() -> None:
    counts = [count_parameters(config) for config in configs().values()]
    assert max(counts) / min(counts) < (1 + TOLERANCE) / (1 - TOLERANCE)


def test_pruning_starts_exact_and_its_fraction_grows(found: dict[str, Any]) -> None:
    for thresholds in found["pruning"]["encoded"].values():
        first, *_, last = thresholds
        assert (first["threshold"], first["share"], first["output_error"]) == (0, 0, 0)
        assert first["embedding_error"] < 1e-9
        assert last["embedding_error"] > first["embedding_error"]
        shares = [at["share"] for at in thresholds]
        assert shares == sorted(shares)


def test_deleting_the_most_attended_moves_texts_further_than_random(minilm_source: Path) -> None:
    """Over the shorter texts; the interval, not the mean, is beyond what random deletion does."""
    deleted = deletion.measure_deletion(text_items(minilm_source, 16))
    assert deleted.overall["most by rollout"].low > 0
    assert deleted.overall["least by rollout"].high < 0


def test_deleting_the_most_attended_moves_images_further_than_random() -> None:
    encoder = checkpoint.load(SCENES_VIT_SOURCE)
    assert isinstance(encoder, ImageEncoder)
    deleted = deletion.measure_deletion(image_items(encoder, 8))
    assert deleted.overall["most by rollout"].low > 0
    assert deleted.overall["least by rollout"].high < 0


def test_documented_deletions_bear_out_what_is_said_of_them() -> None:
    result = deletion.DeletionResult.model_validate_json((ROOT / PLOTS / "deletion.json").read_bytes())
    assert not result.quick
    for deleted in result.deleted.values():
        for choice, overall in deleted.overall.items():
            assert overall.high < 0 if choice.startswith("least") else overall.low > 0
        reductions = {choice: each.mean for choice, each in deleted.overall.items() if choice.startswith("most by")}
        assert min(reductions, key=lambda choice: reductions[choice]) == "most by rollout"


def test_deletion_removes_the_start_of_the_order() -> None:
    kept = deletion._kept_masks(np.array([2, 0, 1, 3]))
    assert kept.tolist() == [[True, True, False, True]] * 4 + [[False, True, False, True]] * 2


def test_intervals_hold_their_mean_and_close_on_it() -> None:
    values = np.random.default_rng(1).normal(1, 1, 400)
    few, many = bootstrap_interval(values[:20]), bootstrap_interval(values)
    assert few.low < few.mean < few.high
    assert many.high - many.low == pytest.approx(2 * 1.96 / 20, rel=0.1)
    assert many.high - many.low < few.high - few.low


def test_document_says_what_the_results_say() -> None:
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert document.block_names(text) == list(EXPERIMENTS)
    assert document.fill(text, ROOT / PLOTS) == text, "run `python -m models.experiments --write-docs`"
    for name in EXPERIMENTS:
        assert f"(../plots/{name}.svg)" in text
        assert (ROOT / PLOTS / f"{name}.svg").stat().st_size <= LARGEST_PLOT_BYTES


def test_quick_results_are_not_documented(tmp_path: Path, found: dict[str, Any]) -> None:
    (tmp_path / "scaling.json").write_text(json.dumps(found["scaling"]))
    with pytest.raises(document.DocumentError, match="quick"):
        document.fill("<!-- figures of scaling -->\n\n<!-- end of figures -->", tmp_path)


def test_unknown_experiments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rope"])
    assert "no experiment 'rope'; known: projections," in capsys.readouterr().err
