"""From a description and its places to pixels and masks.

Letters: y, x rows and columns of the picture, n objects in it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.scenes.description import Description
from models.scenes.placement import Place, place
from models.scenes.shapes import IMPLICIT, Field, coverage
from models.scenes.textures import TEXTURE
from models.scenes.vocabulary import COLOURS

LIGHTER, TINTED = 12, 6
"""Largest change of a colour, of 255: of all channels together, and of each on its own."""

NOISE = 4.0
"""Standard deviation of the pixel noise, of 255."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and what is in it: `pixels` `[y, x, 3]` sRGB, `masks` `[n, y, x]` in the order of the things."""

    description: Description
    places: tuple[Place, ...]
    pixels: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]


def render(description: Description, rng: np.random.Generator, *, side_px: int = 128) -> Scene:
    """Place and paint a description as a square of `side_px`. The same generator state gives the same scene."""
    places = place(description, rng)
    centres: Field = (np.arange(side_px, dtype=np.float32) + np.float32(0.5)) / np.float32(side_px)
    y, x = np.meshgrid(centres, centres, indexing="ij")
    canvas = _ground(description, x, y, rng)
    masks = []
    for thing, where in zip(description.things, places, strict=True):
        covered = _covered(thing.shape, where, x, y)
        canvas += covered[..., None] * (_colour(thing.colour, rng) - canvas)
        masks.append(covered > 0.5)
    canvas += rng.normal(0, NOISE, canvas.shape).astype(np.float32)
    return Scene(description, places, np.clip(canvas, 0, 255).astype(np.uint8), np.stack(masks))


def _ground(description: Description, x: Field, y: Field, rng: np.random.Generator) -> Field:
    """The textured ground `[y, x, 3]`: the colour, and a shade of it that is still called the same."""
    colour = _colour(description.ground, rng)
    towards = np.float32(0 if colour.mean() > 128 else 255)
    shade = colour + np.float32(rng.uniform(0.22, 0.32)) * (towards - colour)
    texture = TEXTURE[description.texture](x, y, rng)[..., None]
    ground: Field = colour + texture * (shade - colour)
    return ground


def _covered(shape: str, where: Place, x: Field, y: Field) -> Field:
    across, down = (x - np.float32(where.x)) / where.radius, (y - np.float32(where.y)) / where.radius
    c, s = np.cos(where.angle), np.sin(where.angle)
    return coverage(
        IMPLICIT[shape], (c * across + s * down).astype(np.float32), (c * down - s * across).astype(np.float32)
    )


def _colour(name: str, rng: np.random.Generator) -> Field:
    jittered = np.array(COLOURS[name]) + rng.uniform(-LIGHTER, LIGHTER) + rng.uniform(-TINTED, TINTED, size=3)
    return np.clip(jittered, 0, 255).astype(np.float32)
