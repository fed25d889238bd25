"""Placement of a description's objects; lengths are fractions of the image's side, so a scene has no resolution."""

from dataclasses import dataclass

import numpy as np

from models.scenes.description import SceneDescription

MIN_RADIUS, MAX_RADIUS = 0.11, 0.22
"""Radius of an object: 14 to 28 px at 128 px."""

MAX_RADIUS_OF_TWO = 0.17
MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Placement:
    """Center and radius in shares of the side, x to the right and y down; `angle` in radians."""

    x: float
    y: float
    radius: float
    angle: float


def place_objects(description: SceneDescription, rng: np.random.Generator) -> tuple[Placement, ...]:
    """Place each object: inside the image, apart from the other, and as the description's relation says."""
    if description.relation is None:
        return (_random_placement(rng, MAX_RADIUS),)
    while True:
        first, second = _random_placement(rng, MAX_RADIUS_OF_TWO), _random_placement(rng, MAX_RADIUS_OF_TWO)
        across, down = second.x - first.x, second.y - first.y
        apart = np.hypot(across, down) > first.radius + second.radius + MARGIN
        forward, sideways = (across, down) if description.relation == "to the left of" else (down, across)
        if apart and forward > 2 * abs(sideways):
            return first, second


def _random_placement(rng: np.random.Generator, max_radius: float) -> Placement:
    radius = rng.uniform(MIN_RADIUS, max_radius)
    x, y = rng.uniform(radius + MARGIN, 1 - radius - MARGIN, size=2)
    return Placement(x, y, radius, rng.uniform(-0.35, 0.35))
