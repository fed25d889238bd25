"""What the small encoders learn: the colour of the left one of two objects.

Both objects' colours can be read off any one patch; which of them is meant only by where they stand. Who sees both
and cannot tell left from right is right half of the time.

Letters: b scenes, y, x rows and columns in px.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.scenes.description import draw
from models.scenes.rendering import render
from models.scenes.vocabulary import COLOURS

IMAGE_PX: Final = 48
CLASSES: Final = tuple(COLOURS)
BLIND_TO_ORDER: Final = 0.5
"""The accuracy of guessing one of the two."""

TRAINING_SEED, HELD_OUT_SEED = 1, 2


@lru_cache(maxsize=4)
def scenes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """`count` scenes: pixels `[b, y, x, 3]` uint8 and the class of each `[b]`."""
    rng = np.random.default_rng(seed)
    drawn = [replace(draw(rng, things=2), relation="to the left of") for _ in range(count)]
    pixels = np.stack([render(description, rng, side_px=IMAGE_PX).pixels for description in drawn])
    return torch.from_numpy(pixels), torch.tensor([CLASSES.index(each.things[0].colour) for each in drawn])
