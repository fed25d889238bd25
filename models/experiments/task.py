"""Task of the small encoders: the color of the left one of two objects.

Both objects' colors can be read off any one patch; which of them is meant only by where they stand. Who sees both
and cannot tell left from right is right half of the time.

Letters: b scenes, y, x rows and columns in px.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.scenes.description import draw_description
from models.scenes.rendering import render_scene
from models.scenes.vocabulary import COLORS

IMAGE_PX: Final = 48
CLASSES: Final = tuple(COLORS)
CHANCE_ACCURACY: Final = 0.5
"""Accuracy of guessing one of the two objects."""

TRAINING_SEED, HELD_OUT_SEED = 1, 2


@lru_cache(maxsize=4)
def labeled_scenes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Generate `count` scenes: pixels `[b, y, x, 3]` uint8 and the class of each `[b]`."""
    rng = np.random.default_rng(seed)
    drawn = [replace(draw_description(rng, num_objects=2), relation="to the left of") for _ in range(count)]
    pixels = np.stack([render_scene(description, rng, side_px=IMAGE_PX).pixels for description in drawn])
    return torch.from_numpy(pixels), torch.tensor([CLASSES.index(each.objects[0].color) for each in drawn])
