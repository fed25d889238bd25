"""How good an encoder of scenes is, on scenes and captions that training never saw.

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

from models.attention import Observer
from models.encoders.image import ImageEncoder
from models.relevance import told
from models.scenes.description import draw_distinct
from models.scenes.rendering import Scene, render
from models.train.teacher import Teacher

SEED = 7
"""Of the unseen scenes; recipes have seeds of their own."""

RETRIEVED = 1_000
POINTED = 500
BATCH = 100

QUARTER = 0.25
"""The stricter reading of "on an object": it covers so much of the cell. The other is that it reaches into the cell."""


@dataclass(frozen=True)
class Retrieval:
    """Shares of queries whose own match is the nearest, or among the five nearest, of all."""

    text_to_image_r1: float
    text_to_image_r5: float
    image_to_text_r1: float
    image_to_text_r5: float


@dataclass(frozen=True)
class Pointing:
    """Shares of scenes whose rollout peaks in a cell that an object reaches into, or covers by a quarter.

    `chance` is the share for a cell drawn at random.
    """

    touched: float
    touched_chance: float
    quarter: float
    quarter_chance: float


def evaluate(encoder: ImageEncoder, teacher: Teacher) -> str:
    """All of the figures, as JSON; an encoder without attention points at nothing."""
    figures = {"retrieval": asdict(retrieval(encoder, teacher))}
    if attends(encoder):
        figures["pointing_one_object"] = asdict(pointing(encoder, one_in=1.0))
        figures["pointing_two_objects"] = asdict(pointing(encoder, one_in=0.0))
    return json.dumps(figures, indent=2)


@torch.no_grad()
def attends(encoder: ImageEncoder) -> bool:
    """Whether a watched run of the encoder shows any attention."""
    observer, side_px = Observer(watching=True), encoder.config.image_px
    encoder(torch.zeros(1, side_px, side_px, 3), observer)
    return bool(observer.weights)


def unseen(count: int, *, one_in: float, side_px: int) -> list[Scene]:
    """Scenes with distinct captions, none of which training may see; a share `one_in` has one object."""
    descriptions = draw_distinct(np.random.default_rng(SEED), count, "unseen", one_in=one_in)
    return [render(d, np.random.default_rng([SEED, i]), side_px=side_px) for i, d in enumerate(descriptions)]


def retrieval(encoder: ImageEncoder, teacher: Teacher) -> Retrieval:
    """Find each of `RETRIEVED` scenes by its caption, and each caption by its scene."""
    scenes = unseen(RETRIEVED, one_in=0.5, side_px=encoder.config.image_px)
    captions = teacher.embed([scene.description.caption for scene in scenes])
    likeness = captions @ functional.normalize(_encode(encoder, scenes), dim=1).T
    return Retrieval(
        text_to_image_r1=recall(likeness, 1),
        text_to_image_r5=recall(likeness, 5),
        image_to_text_r1=recall(likeness.T, 1),
        image_to_text_r5=recall(likeness.T, 5),
    )


def recall(likeness: Tensor, k: int) -> float:
    """likeness `[n, n]`, queries by rows, the match of each on the diagonal -> share with it among the k most like."""
    nearest = likeness.topk(k, dim=1).indices
    return (nearest == torch.arange(len(likeness))[:, None]).any(dim=1).double().mean().item()


def pointing(encoder: ImageEncoder, *, one_in: float) -> Pointing:
    """Where rollout peaks in `POINTED` scenes, a share `one_in` of which has one object and the others two."""
    scenes = unseen(POINTED, one_in=one_in, side_px=encoder.config.image_px)
    covered = np.stack([coverage_of_cells(scene, encoder.grid) for scene in scenes])
    at_peak = covered[np.arange(POINTED), _rollouts(encoder, scenes).argmax(dim=1).numpy()]
    return Pointing(
        touched=float((at_peak > 0).mean()),
        touched_chance=float((covered > 0).mean()),
        quarter=float((at_peak >= QUARTER).mean()),
        quarter_chance=float((covered >= QUARTER).mean()),
    )


def coverage_of_cells(scene: Scene, grid: tuple[int, int]) -> npt.NDArray[np.float64]:
    """[m]: how much of each cell of the grid the objects cover, 0 to 1."""
    rows, columns = grid
    side_px = scene.masks.shape[1]
    cells = scene.masks.any(axis=0).reshape(rows, side_px // rows, columns, side_px // columns)
    return np.asarray(cells.mean(axis=(1, 3)), dtype=np.float64).reshape(-1)


@torch.no_grad()
def _encode(encoder: ImageEncoder, scenes: list[Scene]) -> Tensor:
    return torch.cat([encoder(pixels) for pixels in _batches(scenes)])


@torch.no_grad()
def _rollouts(encoder: ImageEncoder, scenes: list[Scene]) -> Tensor:
    """[n, m]"""
    found = []
    for pixels in _batches(scenes):
        observer = Observer(watching=True)
        encoder(pixels, observer)
        weights = encoder.on_grid(observer.weights)
        found.append(told(weights, encoder.shares(observer), encoder.prefix)["rollout"].pooled)
    return torch.cat(found)


def _batches(scenes: list[Scene]) -> Iterator[Tensor]:
    for start in tqdm(range(0, len(scenes), BATCH), desc="evaluate", unit="batch"):
        yield torch.from_numpy(np.stack([scene.pixels for scene in scenes[start : start + BATCH]]))
