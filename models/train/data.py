"""Batches of freshly rendered scenes. Batch i is a function of the recipe's seed and i alone, so a run can resume.

Letters: b scenes in a batch, y, x rows and columns in px.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from models.scenes.description import Description, draw_distinct
from models.scenes.rendering import render
from models.train.recipe import Recipe


def descriptions(recipe: Recipe) -> list[Description]:
    """What training may see: distinct descriptions, drawn by the recipe's seed."""
    return draw_distinct(np.random.default_rng(recipe.seed), recipe.data.captions, "train", one_in=recipe.data.one_in)


class SceneBatches(Dataset[tuple[Tensor, Tensor]]):
    """Step -> (which descriptions `[b]`, their pixels `[b, y, x, 3]` uint8), no description twice in a batch."""

    def __init__(self, recipe: Recipe, found: list[Description]) -> None:
        self._seed = recipe.seed
        self._side_px = recipe.config().image_px
        self._descriptions = found
        single = np.array([len(description.things) == 1 for description in found])
        ones = round(recipe.data.batch * recipe.data.one_in)
        self._quota = ((np.flatnonzero(single), ones), (np.flatnonzero(~single), recipe.data.batch - ones))

    def __len__(self) -> int:
        return np.iinfo(np.int64).max

    @override
    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._seed, step])
        chosen = np.concatenate([rng.choice(members, size=n, replace=False) for members, n in self._quota])
        pixels = [render(self._descriptions[i], rng, side_px=self._side_px).pixels for i in chosen]
        return torch.from_numpy(chosen), torch.from_numpy(np.stack(pixels))


def batches(recipe: Recipe, found: list[Description], first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """From `first_step` to the recipe's last, rendered ahead in a process of its own."""
    steps = range(first_step, recipe.optimizer.steps)
    loader = DataLoader(SceneBatches(recipe, found), batch_size=None, sampler=steps, num_workers=1, prefetch_factor=4)
    return iter(loader)
