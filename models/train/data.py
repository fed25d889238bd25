"""Batches of freshly rendered scenes. Batch i is a function of the recipe's seed and i alone, so a run can resume.

Letters: b scenes in a batch, y, x rows and columns in px.
"""

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from models.scenes.description import SceneDescription, draw_descriptions
from models.scenes.rendering import render_scene
from models.train.errors import RecipeError
from models.train.recipe import Recipe

MAX_WORKERS = 8


def descriptions(recipe: Recipe) -> list[SceneDescription]:
    """Return distinct descriptions for training, drawn by the recipe's seed. Raises RecipeError for too many."""
    rng = np.random.default_rng(recipe.seed)
    try:
        return draw_descriptions(rng, recipe.data.captions, "train", single_object_fraction=recipe.data.one_in)
    except ValueError as error:
        raise RecipeError(f"data.captions: {error}") from error


class SceneBatches(Dataset[tuple[Tensor, Tensor]]):
    """Maps a step to the descriptions `[b]` and pixels `[b, y, x, 3]` uint8 of its batch, no description twice.

    Raises RecipeError when there are not enough descriptions for that.
    """

    def __init__(self, recipe: Recipe, found: list[SceneDescription]) -> None:
        self._seed = recipe.seed
        self._side_px = recipe.config().image_px
        self._descriptions = found
        single = np.array([len(description.objects) == 1 for description in found])
        ones = round(recipe.data.batch * recipe.data.one_in)
        self._quota = ((np.flatnonzero(single), ones), (np.flatnonzero(~single), recipe.data.batch - ones))
        for members, wanted in self._quota:
            if wanted > len(members):
                raise RecipeError(
                    f"data.batch: {wanted} scenes of one kind requested, only {len(members)} captions available"
                )

    @override
    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._seed, step])
        chosen = np.concatenate([rng.choice(members, size=n, replace=False) for members, n in self._quota])
        pixels = [render_scene(self._descriptions[i], rng, side_px=self._side_px).pixels for i in chosen]
        return torch.from_numpy(chosen), torch.from_numpy(np.stack(pixels))


def batches(recipe: Recipe, found: list[SceneDescription], first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches from `first_step` to the recipe's last, in order, rendered ahead in worker processes."""
    steps = range(first_step, recipe.optimizer.steps)
    workers = min(MAX_WORKERS, max(1, (os.cpu_count() or 1) - 1))
    scenes = SceneBatches(recipe, found)
    return iter(DataLoader(scenes, batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=4))
