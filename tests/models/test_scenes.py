"""Tests of generated scenes: the image shows what the caption says, and seeds are reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scenes.description import SceneDescription, SceneObject, draw_description, draw_descriptions
from models.scenes.rendering import render_scene
from models.scenes.vocabulary import COLORS, SHAPES, TEXTURES

ONE = SceneDescription((SceneObject("red", "star"),), None, "striped", "blue")


def test_captions_read_as_english() -> None:
    assert ONE.caption == "a red star on a striped blue background"
    two = SceneDescription((SceneObject("red", "star"), SceneObject("pink", "ring")), "above", "plain", "blue")
    assert two.caption == "a red star above a pink ring on a plain blue background"


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_scene_shows_what_it_says(seed: int, things: int) -> None:
    description = draw_description(np.random.default_rng(seed), things)
    assert description.ground not in [thing.color for thing in description.objects]
    scene = render_scene(description, np.random.default_rng(seed), side_px=96)
    assert scene.pixels.shape == (96, 96, 3)
    assert scene.masks.sum(axis=0).max() <= 1, "objects overlap"
    centers = []
    for thing, mask in zip(description.objects, scene.masks, strict=True):
        assert 0.005 < mask.mean() < 0.2
        middle = np.median(scene.pixels[mask], axis=0)
        nearest = min(COLORS, key=lambda name: float(np.abs(middle - COLORS[name]).sum()))
        assert nearest == thing.color
        centers.append(np.argwhere(mask).mean(axis=0))
    if description.relation is not None:
        axis = 1 if description.relation == "to the left of" else 0
        assert centers[0][axis] < centers[1][axis]


@pytest.mark.parametrize("texture", TEXTURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_same_numbers_give_the_same_image(shape: str, texture: str) -> None:
    description = SceneDescription((SceneObject("red", shape),), None, texture, "white")
    one, same, other = (render_scene(description, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.pixels, same.pixels)
    assert not np.array_equal(one.masks, other.masks)


def test_scene_has_no_resolution() -> None:
    small, large = (render_scene(ONE, np.random.default_rng(3), side_px=side) for side in (64, 256))
    assert small.placements == large.placements
    shrunk = large.masks.reshape(1, 64, 4, 64, 4).mean(axis=(2, 4)) > 0.5
    assert (shrunk != small.masks).mean() < 0.01


def test_held_out_captions_are_never_trained_on() -> None:
    rng = np.random.default_rng(0)
    train, unseen = (draw_descriptions(rng, 500, split) for split in ("train", "unseen"))
    captions = [{description.caption for description in found} for found in (train, unseen)]
    assert [len(found) for found in captions] == [500, 500]
    assert captions[0].isdisjoint(captions[1])
    assert 0.4 < np.mean([len(description.objects) == 1 for description in unseen]) < 0.6


def test_attention_image_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(ValueError, match="1 or 2 objects, not 3"):
        draw_description(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=r"found \d+ distinct descriptions of 1000"):
        draw_descriptions(np.random.default_rng(0), 1_000, "unseen", single_object_fraction=1.0)
