"""Evaluation of an encoder on scenes and captions that training never saw.

Letters: n scenes and as many captions, e width, y, x rows and columns in px, m cells of the encoder's grid.
Sources: recall at k as in Radford et al. (2021); the pointing game: Zhang et al., "Top-down Neural Attention by
Excitation Backprop" (2016), section 4.1, with a cell of the grid in place of a pixel with 15 px
of tolerance; of two objects either counts, for the question names none.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from models.attention import AttentionRecorder
from models.encoders.image import ImageEncoder
from models.relevance import reduce_attention
from models.scenes.description import draw_descriptions
from models.scenes.rendering import Scene, render_scene
from models.train.teacher import Teacher

SEED = 7
"""Seed of the held-out scenes; recipes have their own."""

NUM_RETRIEVAL_SCENES = 1_000
NUM_POINTING_SCENES = 500
BATCH_SIZE = 100

MIN_PATCH_COVERAGE = 0.25
"""Coverage of a cell in the stricter criterion of a hit; in the other, an object touches it."""


@dataclass(frozen=True)
class Retrieval:
    """Fraction of queries whose match is the nearest, or among the five nearest, of all."""

    text_to_image_r1: float
    text_to_image_r5: float
    image_to_text_r1: float
    image_to_text_r5: float


@dataclass(frozen=True)
class PointingGame:
    """Fraction of scenes whose rollout peaks in a cell that an object touches, or covers by a quarter.

    `chance` is the share for a cell drawn at random.
    """

    touched: float
    touched_chance: float
    quarter: float
    quarter_chance: float


def evaluate(encoder: ImageEncoder, teacher: Teacher) -> str:
    """Return all figures, as JSON; an encoder without attention has no pointing game."""
    figures = {"retrieval": asdict(retrieval(encoder, teacher))}
    if has_attention(encoder):
        figures["pointing_one_object"] = asdict(pointing_game(encoder, single_object_fraction=1.0))
        figures["pointing_two_objects"] = asdict(pointing_game(encoder, single_object_fraction=0.0))
    return json.dumps(figures, indent=2)


@torch.no_grad()
def has_attention(encoder: ImageEncoder) -> bool:
    """Whether a watched run of the encoder shows any attention."""
    recorder, side_px = AttentionRecorder(record=True), encoder.config.image_px
    encoder(torch.zeros(1, side_px, side_px, 3), recorder)
    return bool(recorder.weights)


def held_out_scenes(count: int, *, single_object_fraction: float, side_px: int) -> list[Scene]:
    """Generate scenes with distinct captions, unseen in training; a fraction `single_object_fraction` has one
    object."""
    descriptions = draw_descriptions(
        np.random.default_rng(SEED), count, "unseen", single_object_fraction=single_object_fraction
    )
    return [render_scene(d, np.random.default_rng([SEED, i]), side_px=side_px) for i, d in enumerate(descriptions)]


def retrieval(encoder: ImageEncoder, teacher: Teacher) -> Retrieval:
    """Retrieve each of `NUM_RETRIEVAL_SCENES` scenes by its caption, and each caption by its scene."""
    scenes = held_out_scenes(NUM_RETRIEVAL_SCENES, single_object_fraction=0.5, side_px=encoder.config.image_px)
    captions = teacher.embed([scene.description.caption for scene in scenes])
    similarity = captions @ functional.normalize(_encode(encoder, scenes), dim=1).T
    return Retrieval(
        text_to_image_r1=recall(similarity, 1),
        text_to_image_r5=recall(similarity, 5),
        image_to_text_r1=recall(similarity.T, 1),
        image_to_text_r5=recall(similarity.T, 5),
    )


def recall(similarity: Tensor, k: int) -> float:
    """Return recall@k of similarity `[n, n]`: queries by rows, the match of each on the diagonal."""
    nearest = similarity.topk(k, dim=1).indices
    return (nearest == torch.arange(len(similarity))[:, None]).any(dim=1).double().mean().item()


def pointing_game(encoder: ImageEncoder, *, single_object_fraction: float) -> PointingGame:
    """Play the pointing game on `NUM_POINTING_SCENES` scenes: a fraction `single_object_fraction` has one object, the
    others two."""
    scenes = held_out_scenes(
        NUM_POINTING_SCENES, single_object_fraction=single_object_fraction, side_px=encoder.config.image_px
    )
    coverage = np.stack([patch_coverage(scene, encoder.grid) for scene in scenes])
    at_peak = coverage[np.arange(NUM_POINTING_SCENES), _rollouts(encoder, scenes).argmax(dim=1).numpy()]
    return PointingGame(
        touched=float((at_peak > 0).mean()),
        touched_chance=float((coverage > 0).mean()),
        quarter=float((at_peak >= MIN_PATCH_COVERAGE).mean()),
        quarter_chance=float((coverage >= MIN_PATCH_COVERAGE).mean()),
    )


def patch_coverage(scene: Scene, grid: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return each cell's coverage by the objects, 0 to 1: `[m]`."""
    rows, columns = grid
    side_px = scene.masks.shape[1]
    patches = scene.masks.any(axis=0).reshape(rows, side_px // rows, columns, side_px // columns)
    return np.asarray(patches.mean(axis=(1, 3)), dtype=np.float64).reshape(-1)


@torch.no_grad()
def _encode(encoder: ImageEncoder, scenes: list[Scene]) -> Tensor:
    return torch.cat([encoder(pixels) for pixels in _batches(scenes)])


@torch.no_grad()
def _rollouts(encoder: ImageEncoder, scenes: list[Scene]) -> Tensor:
    """Return each scene's pooled rollout: `[n, m]`."""
    found = []
    for pixels in _batches(scenes):
        recorder = AttentionRecorder(record=True)
        encoder(pixels, recorder)
        weights = encoder.on_grid(recorder.weights)
        found.append(
            reduce_attention(weights, encoder.pooling_weights(recorder), encoder.num_prefix_tokens)["rollout"].pooled
        )
    return torch.cat(found)


def _batches(scenes: list[Scene]) -> Iterator[Tensor]:
    for start in tqdm(range(0, len(scenes), BATCH_SIZE), desc="evaluate", unit="batch"):
        yield torch.from_numpy(np.stack([scene.pixels for scene in scenes[start : start + BATCH_SIZE]]))
