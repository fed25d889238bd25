"""Rendering of a placed description to pixels and masks.

Letters: y, x rows and columns of the image, n objects in it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.scenes.description import SceneDescription
from models.scenes.placement import Placement, place_objects
from models.scenes.shapes import SHAPE_FUNCTIONS, Field, coverage
from models.scenes.textures import TEXTURE_FUNCTIONS
from models.scenes.vocabulary import COLORS

LIGHTNESS_JITTER, TINT_JITTER = 12, 6
"""Largest change of a color, of 255: of all channels together, and of each on its own."""

NOISE = 4.0
"""Standard deviation of the pixel noise, of 255."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Image and its objects: `pixels` `[y, x, 3]` sRGB, `masks` `[n, y, x]` in the order of the objects."""

    description: SceneDescription
    placements: tuple[Placement, ...]
    pixels: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]


def render_scene(description: SceneDescription, rng: np.random.Generator, *, side_px: int = 128) -> Scene:
    """Place and paint a description as a square of `side_px`. The same generator state gives the same scene."""
    placements = place_objects(description, rng)
    centers: Field = (np.arange(side_px, dtype=np.float32) + np.float32(0.5)) / np.float32(side_px)
    y, x = np.meshgrid(centers, centers, indexing="ij")
    canvas = _ground(description, x, y, rng)
    masks = []
    for scene_object, placement in zip(description.objects, placements, strict=True):
        covered = _shape_coverage(scene_object.shape, placement, x, y)
        canvas += covered[..., None] * (_jittered_color(scene_object.color, rng) - canvas)
        masks.append(covered > 0.5)
    canvas += rng.normal(0, NOISE, canvas.shape).astype(np.float32)
    return Scene(description, placements, np.clip(canvas, 0, 255).astype(np.uint8), np.stack(masks))


def _ground(description: SceneDescription, x: Field, y: Field, rng: np.random.Generator) -> Field:
    """Return the textured ground `[y, x, 3]`: the color, and a shade that still has the same name."""
    color = _jittered_color(description.ground, rng)
    towards = np.float32(0 if color.mean() > 128 else 255)
    shade = color + np.float32(rng.uniform(0.22, 0.32)) * (towards - color)
    texture = TEXTURE_FUNCTIONS[description.texture](x, y, rng)[..., None]
    ground: Field = color + texture * (shade - color)
    return ground


def _shape_coverage(shape: str, placement: Placement, x: Field, y: Field) -> Field:
    across, down = (x - np.float32(placement.x)) / placement.radius, (y - np.float32(placement.y)) / placement.radius
    c, s = np.cos(placement.angle), np.sin(placement.angle)
    return coverage(
        SHAPE_FUNCTIONS[shape], (c * across + s * down).astype(np.float32), (c * down - s * across).astype(np.float32)
    )


def _jittered_color(name: str, rng: np.random.Generator) -> Field:
    jittered = (
        np.array(COLORS[name])
        + rng.uniform(-LIGHTNESS_JITTER, LIGHTNESS_JITTER)
        + rng.uniform(-TINT_JITTER, TINT_JITTER, size=3)
    )
    return np.clip(jittered, 0, 255).astype(np.float32)
