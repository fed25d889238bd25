"""Tests of training: it learns, resumes after a kill on the same curve, and reports its results correctly."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoders import checkpoint
from models.encoders.image import ImageEncoder
from models.scenes.description import SceneDescription, SceneObject
from models.scenes.rendering import render_scene
from models.train.__main__ import main
from models.train.errors import DivergedError, RecipeError
from models.train.evaluation import evaluate, patch_coverage, recall
from models.train.loop import CURVE_FILE, TrainingRun, lr_multiplier
from models.train.objective import ContrastiveLoss
from models.train.recipe import OptimizerConfig, Recipe
from models.train.teacher import Teacher
from tests.checkpoints import write_bert
from tests.polling import eventually

RECIPE = """
name = "tiny"
seed = 3
autocast_bf16 = false
checkpoint_every = 2
encoder = {{ kind = "vit", image_px = 32, patch_px = 8, width = 24, layers = 1, heads = 2, embedding_width = 32 }}
data = {{ captions = 64, batch = 8 }}
optimizer = {{ steps = {steps}, warmup_steps = 2, learning_rate = 3e-3, weight_decay = 0.05 }}
"""


STANDS_STILL = """
import sys, time
from pathlib import Path
from models.train.__main__ import main
from models.train.objective import ContrastiveLoss

still, *arguments = sys.argv[1:]
forward, steps = ContrastiveLoss.forward, iter(range(8))

def forward_seven_times(contrast, *tensors):
    if next(steps) == 7:
        Path(still).touch()
        time.sleep(3_600)
    return forward(contrast, *tensors)

ContrastiveLoss.forward = forward_seven_times
main(arguments)
"""
"""A run that waits in its eighth step, and says so by a file, until it is killed."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random text encoder that knows the captions' words."""
    return write_bert(tmp_path_factory.mktemp("teacher"))


def write_recipe(directory: Path, steps: int = 8) -> Path:
    path = directory / "tiny.toml"
    path.write_text(RECIPE.format(steps=steps))
    return path


def curve(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / CURVE_FILE).read_text().splitlines()]


def test_killed_run_goes_on_to_the_same_curve(tmp_path: Path, teacher: Path) -> None:
    recipe = write_recipe(tmp_path, steps=40)
    whole = [str(recipe), "--teacher", str(teacher), "--device", "cpu", "--out", str(tmp_path / "whole")]
    assert main(whole) == 0
    killed, still = tmp_path / "killed", tmp_path / "still"
    command = [sys.executable, "-c", STANDS_STILL, str(still), *whole[:-1], str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    assert eventually(lambda: still.exists() or process.poll() is not None)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "model.safetensors").exists()
    begun = TrainingRun(Recipe.read(str(recipe)), killed, torch.device("cpu")).step
    assert begun == 6, "of seven steps; checkpoints are every second"
    done = [entry["loss"] for entry in curve(killed)]
    assert len(done) == begun, "what was learned after the checkpoint is forgotten"
    assert main([*whole[:-1], str(killed)]) == 0
    assert [entry["step"] for entry in curve(killed)] == list(range(1, 41))
    np.testing.assert_allclose(
        [entry["loss"] for entry in curve(killed)], [entry["loss"] for entry in curve(tmp_path / "whole")], rtol=1e-5
    )
    assert [entry["loss"] for entry in curve(killed)][:begun] == done, "steps before the checkpoint were run again"
    first, second = (checkpoint.load(tmp_path / name) for name in ("whole", "killed"))
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


def test_training_learns_and_reports(tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_recipe(tmp_path, steps=60)
    out = tmp_path / "run"
    assert main([str(recipe), "--teacher", str(teacher), "--device", "cpu", "--out", str(out), "--evaluate"]) == 0
    losses = [entry["loss"] for entry in curve(out)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
    assert isinstance(checkpoint.load(out), ImageEncoder)
    figures = json.loads((out / "evaluation.json").read_text())
    assert 0 <= figures["retrieval"]["text_to_image_r1"] <= figures["retrieval"]["text_to_image_r5"] <= 1
    one, two = figures["pointing_one_object"], figures["pointing_two_objects"]
    assert 0 < one["quarter_chance"] < one["touched_chance"] < two["touched_chance"] < 0.5
    assert 0 <= one["quarter"] <= one["touched"] <= 1
    assert "text_to_image_r1" in capsys.readouterr().out


def test_another_recipe_does_not_resume(tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--teacher", str(teacher), "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main([str(write_recipe(tmp_path, steps=2)), *arguments]) == 0
    assert main([str(write_recipe(tmp_path, steps=3)), *arguments]) == 1
    assert "belongs to another recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "seed = -1"), "seed: Input should be greater"),
        (("seed = 3", ""), "seed: Field required"),
        (("seed = 3", "seed = "), "is not TOML"),
        (("steps = 8", "stride = 8"), "optimizer.steps: Field required"),
        (("heads = 2", "heads = 5"), "5 and 24"),
        (('kind = "vit"', 'kind = "vet"'), "no encoder of kind 'vet'"),
        (("patch_px = 8", "patch_px = 7"), "7 and 32"),
        (("warmup_steps = 2", "warmup_steps = 9"), "9 warmup_steps of 8 steps"),
        (("embedding_width = 32", "embedding_width = 16"), "embedding_width is 16, the teacher's vectors are 32 wide"),
        (("batch = 8", "batch = 100"), "50 scenes of one kind"),
        (
            ('kind = "vit", image_px = 32, patch_px = 8, width = 24', 'kind = "text", width = 24'),
            "embedding_width: Extra",
        ),
    ],
)
def test_recipes_that_cannot_be(
    change: tuple[str, str], message: str, tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recipe(tmp_path)
    path.write_text(path.read_text().replace(*change))
    assert main([str(path), "--teacher", str(teacher), "--out", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(RecipeError, match="no recipe 'ours'; known: scenes-vit"):
        Recipe.read("ours")


def test_text_encoder_is_not_trained_on_images(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    text = path.read_text()
    path.write_text("\n".join('encoder = { kind = "text" }' if "kind" in line else line for line in text.splitlines()))
    with pytest.raises(RecipeError, match="of kind 'text' takes no images"):
        Recipe.read(str(path)).config()


def test_rate_rises_and_falls() -> None:
    plan = OptimizerConfig(steps=100, warmup_steps=10, learning_rate=1, weight_decay=0)
    shares = [lr_multiplier(step, plan) for step in range(100)]
    assert shares[0] == 0.1
    assert max(shares) == shares[9] == shares[10] == 1
    assert shares[-1] < 1e-3
    assert shares[10:] == sorted(shares[10:], reverse=True)


def test_contrast_is_the_symmetric_cross_entropy() -> None:
    contrast = ContrastiveLoss()
    captions = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    chosen = torch.tensor([3, 0])
    images = torch.randn(2, 8)
    likeness = 20 * torch.nn.functional.normalize(images, dim=1) @ captions.T
    to_captions = -likeness.log_softmax(1)[[0, 1], chosen].mean()
    to_images = -likeness[:, chosen].T.log_softmax(1).diagonal().mean()
    torch.testing.assert_close(contrast(images, captions, chosen), (to_captions + to_images) / 2)


def test_recall_counts_rows() -> None:
    likeness = torch.tensor([[9.0, 1, 2], [8, 7, 6], [5, 4, 3]])
    assert [recall(likeness, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_coverage_of_patches() -> None:
    scene = render_scene(
        SceneDescription((SceneObject("red", "square"),), None, "plain", "blue"), np.random.default_rng(0)
    )
    covered = patch_coverage(scene, (8, 8)).reshape(8, 8)
    assert covered.mean() == pytest.approx(scene.masks[0].mean())
    row, column = (np.argwhere(scene.masks[0]).mean(axis=0) // 16).astype(int)
    assert covered[row, column] == scene.masks[0][16 * row : 16 * row + 16, 16 * column : 16 * column + 16].mean() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher", "nowhere"], "nowhere holds no text encoder"),
        (["--device", "cuda"], "no CUDA device found"),
    ],
)
def test_missing_plots_are_reported(
    arguments: list[str], message: str, tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([str(write_recipe(tmp_path)), "--teacher", str(teacher), "--out", str(out), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_run_that_cannot_be_written_or_resumed(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(write_recipe(tmp_path)), "--teacher", str(teacher), "--device", "cpu"]
    (tmp_path / "file").write_text("")
    assert main([*arguments, "--out", str(tmp_path / "file")]) == 1
    assert "File exists" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "training.safetensors").write_bytes(b"broken")
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 1
    assert "is corrupt; remove it to start over" in capsys.readouterr().err


def test_loss_that_is_no_number_stops(tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContrastiveLoss, "forward", lambda _self, images, *_: images.sum() * float("nan"))
    run = TrainingRun(Recipe.read(str(write_recipe(tmp_path))), tmp_path / "run", torch.device("cpu"))
    with pytest.raises(DivergedError, match="the loss is nan at step 0"):
        run.train(Teacher(teacher))


def test_encoder_without_attention_is_measured_without_pointing(teacher: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, steps=2)
    lines = recipe.read_text().splitlines()
    conv = 'encoder = { kind = "conv", image_px = 32, width = 16, layers = 1, embedding_width = 32 }'
    recipe.write_text("\n".join(conv if line.startswith("encoder") else line for line in lines))
    encoder = TrainingRun(Recipe.read(str(recipe)), tmp_path / "run", torch.device("cpu")).train(Teacher(teacher))
    assert list(json.loads(evaluate(encoder, Teacher(teacher)))) == ["retrieval"]
