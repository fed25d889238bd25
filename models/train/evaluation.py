"""How good an encoder of scenes is, on scenes and captions that training never saw.

Letters: n scenes and as many captions, e width, y, x rows and columns in px, m cells of the encoder's grid.
Sources: recall at k as in Radford et al. (2021); the pointing game: Zhang et al., "Top-down Neural Attention by
Excitation Backprop" (2016), section 4.1, with a cell in place of a pixel and its 15 px of tolerance.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

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
from models.train.teacher import embed

SEED = 7
"""Of the unseen scenes; recipes have seeds of their own."""

RETRIEVED = 1_000
POINTED = 500
BATCH = 100

ON_OBJECT = 0.25
"""A cell is on an object that covers at least this share of it."""


@dataclass(frozen=True)
class Retrieval:
    """Shares of queries whose own match is the nearest, or among the five nearest, of all."""

    text_to_image_r1: float
    text_to_image_r5: float
    image_to_text_r1: float
    image_to_text_r5: float


@dataclass(frozen=True)
class Pointing:
    """Shares of scenes where the rollout's peak is a cell on an object, and where a cell drawn at random would be."""

    one_object: float
    one_object_chance: float
    two_objects: float
    two_objects_chance: float


def evaluate(encoder: ImageEncoder, teacher: Path) -> str:
    """All of the figures, as JSON."""
    figures = {"retrieval": asdict(retrieval(encoder, teacher)), "pointing": asdict(pointing(encoder))}
    return json.dumps(figures, indent=2)


def unseen(count: int, *, one_in: float, side_px: int) -> list[Scene]:
    """Scenes with distinct captions, none of which training may see; a share `one_in` has one object."""
    descriptions = draw_distinct(np.random.default_rng(SEED), count, "unseen", one_in=one_in)
    return [render(d, np.random.default_rng([SEED, i]), side_px=side_px) for i, d in enumerate(descriptions)]


def retrieval(encoder: ImageEncoder, teacher: Path) -> Retrieval:
    """Find each of `RETRIEVED` scenes by its caption, and each caption by its scene."""
    scenes = unseen(RETRIEVED, one_in=0.5, side_px=encoder.config.image_px)
    captions = embed([scene.description.caption for scene in scenes], teacher)
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


def pointing(encoder: ImageEncoder) -> Pointing:
    """Where rollout peaks in `POINTED` scenes of one object, and as many of two."""
    figures = []
    for one_in in (1.0, 0.0):
        scenes = unseen(POINTED, one_in=one_in, side_px=encoder.config.image_px)
        on_object = np.stack([cells_on_object(scene, encoder.grid) for scene in scenes])
        peaks = _rollouts(encoder, scenes).argmax(dim=1).numpy()
        figures += [float(on_object[np.arange(POINTED), peaks].mean()), float(on_object.mean())]
    return Pointing(*figures)


def cells_on_object(scene: Scene, grid: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """[m]: which cells of the grid are on an object."""
    rows, columns = grid
    side_px = scene.masks.shape[1]
    covered = scene.masks.any(axis=0).reshape(rows, side_px // rows, columns, side_px // columns).mean(axis=(1, 3))
    on_object: npt.NDArray[np.bool_] = (covered >= ON_OBJECT).reshape(-1)
    return on_object


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
        found.append(told(weights, "rollout", encoder.pool, encoder.prefix)[1])
    return torch.cat(found)


def _batches(scenes: list[Scene]) -> list[Tensor]:
    starts = tqdm(range(0, len(scenes), BATCH), desc="evaluate", unit="batch")
    return [torch.from_numpy(np.stack([scene.pixels for scene in scenes[i : i + BATCH]])) for i in starts]
