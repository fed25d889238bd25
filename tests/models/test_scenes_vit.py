"""Tests of the packaged image encoder: its recipe, its size, and its quality on held-out scenes."""

from pathlib import Path

import pytest

from models.encoders import checkpoint
from models.encoders.image import ImageEncoder
from models.train.evaluation import pointing_game, retrieval
from models.train.recipe import Recipe
from models.train.teacher import Teacher
from tests.conftest import SCENES_VIT_SOURCE


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    loaded = checkpoint.load(SCENES_VIT_SOURCE)
    assert isinstance(loaded, ImageEncoder)
    return loaded


def test_scenes_vit_matches_its_recipe_and_is_small(encoder: ImageEncoder) -> None:
    assert encoder.config == Recipe.read("scenes-vit").config()
    assert encoder.config.space == "all-MiniLM-L6-v2"
    assert sum(file.stat().st_size for file in SCENES_VIT_SOURCE.iterdir()) <= 12_000_000
    assert {file.suffix for file in SCENES_VIT_SOURCE.iterdir()} == {".json", ".safetensors"}


def test_texts_find_images_and_images_texts(encoder: ImageEncoder, minilm_source: Path) -> None:
    found = retrieval(encoder, Teacher(minilm_source))
    assert found.text_to_image_r1 >= 0.70
    assert found.image_to_text_r1 >= 0.65


def test_rollout_peaks_on_the_object(encoder: ImageEncoder) -> None:
    one, two = (pointing_game(encoder, single_object_fraction=share) for share in (1.0, 0.0))
    assert one.touched >= 0.98
    assert one.touched_chance < 0.15
    assert one.quarter >= 0.9
    assert one.quarter_chance < 0.1
    assert two.touched >= 0.95
