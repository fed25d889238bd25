"""Textures of the ground, as a value between 0 (the color itself) and 1 (its shade) at each pixel."""

from collections.abc import Callable
from typing import Final

import numpy as np

from models.scenes.shapes import Field

Texture = Callable[[Field, Field, np.random.Generator], Field]
"""Maps (x, y as fractions of the side, random numbers) to `[y, x]`."""


def plain(x: Field, _y: Field, _rng: np.random.Generator) -> Field:
    return np.zeros_like(x)


def striped(x: Field, y: Field, rng: np.random.Generator) -> Field:
    turned, _ = _rotate(x, y, rng.uniform(0, np.pi))
    return _band(turned, rng)


def checkered(x: Field, y: Field, rng: np.random.Generator) -> Field:
    u, v = _rotate(x, y, rng.uniform(-0.3, 0.3))
    size = rng.uniform(0.07, 0.11)
    parity = (np.floor((u + 4) / size) + np.floor((v + 4) / size)) % 2
    field: Field = parity.astype(np.float32)
    return field


def dotted(x: Field, y: Field, rng: np.random.Generator) -> Field:
    u, v = _rotate(x, y, rng.uniform(0, np.pi))
    pitch = rng.uniform(0.08, 0.11)
    from_center = np.hypot((u + 4) % pitch - pitch / 2, (v + 4) % pitch - pitch / 2)
    field: Field = (from_center < 0.3 * pitch).astype(np.float32)
    return field


def wavy(x: Field, y: Field, rng: np.random.Generator) -> Field:
    u, v = _rotate(x, y, rng.uniform(-0.4, 0.4))
    return _band(v + np.float32(0.04) * np.sin(u * np.float32(rng.uniform(18, 26))), rng)


def speckled(x: Field, _y: Field, rng: np.random.Generator) -> Field:
    return (rng.random(x.shape, dtype=np.float32) < 0.25).astype(np.float32)


TEXTURE_FUNCTIONS: Final[dict[str, Texture]] = {
    f.__name__: f for f in (plain, striped, checkered, dotted, wavy, speckled)
}


def _rotate(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _band(along: Field, rng: np.random.Generator) -> Field:
    period = rng.uniform(0.09, 0.14)
    return ((along / np.float32(period) + np.float32(rng.random())) % 1 < 0.5).astype(np.float32)
