"""Shapes as implicit functions: negative inside, zero on the outline, of u (right) and v (down) in units of radius.

Letters: y, x rows and columns of the image.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating]

Implicit = Callable[[Field, Field], Field]


def circle(u: Field, v: Field) -> Field:
    return np.hypot(u, v) - np.float32(0.9)


def square(u: Field, v: Field) -> Field:
    return np.maximum(abs(u), abs(v)) - np.float32(0.8)


def triangle(u: Field, v: Field) -> Field:
    field: Field = np.maximum(v - 0.6, abs(u) * np.float32(0.87) - v * np.float32(0.5) - np.float32(0.5))
    return field


def star(u: Field, v: Field) -> Field:
    """Five-pointed star: the plane folded to one half of a point, then one straight edge."""
    angle = np.mod(np.arctan2(u, -v), 2 * np.pi / 5)
    angle = np.minimum(angle, 2 * np.pi / 5 - angle)
    radius = np.hypot(u, v)
    inner = 0.42
    edge = np.array([inner * np.cos(np.pi / 5) - 1, inner * np.sin(np.pi / 5)])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    folded: Field = (radius * np.cos(angle) - 1) * normal[0] + radius * np.sin(angle) * normal[1]
    return folded


def ring(u: Field, v: Field) -> Field:
    return abs(np.hypot(u, v) - np.float32(0.7)) - np.float32(0.23)


def cross(u: Field, v: Field) -> Field:
    across = np.maximum(abs(u) - 0.95, abs(v) - 0.3)
    down = np.maximum(abs(u) - 0.3, abs(v) - 0.95)
    field: Field = np.minimum(across, down)
    return field


def heart(u: Field, v: Field) -> Field:
    """Return the sextic (u^2 + v^2 - 1)^3 - u^2 v^3, upright."""
    u, v = u * np.float32(1.2), -v * np.float32(1.2) + np.float32(0.15)
    field: Field = (u**2 + v**2 - 1) ** 3 - u**2 * v**3
    return field


def crescent(u: Field, v: Field) -> Field:
    field: Field = np.maximum(np.hypot(u, v) - np.float32(0.95), np.float32(0.8) - np.hypot(u - np.float32(0.45), v))
    return field


SHAPE_FUNCTIONS: Final[dict[str, Implicit]] = {
    f.__name__: f for f in (circle, square, triangle, star, ring, cross, heart, crescent)
}


def coverage(implicit: Implicit, u: Field, v: Field) -> Field:
    """Return each pixel's coverage by the shape, 0 to 1: the outline is one pixel wide. u, v `[y, x]` -> `[y, x]`."""
    f = implicit(u, v)
    down, across = np.gradient(f)
    slope = np.hypot(down, across) + np.float32(1e-6)
    field: Field = np.clip(0.5 - f / slope, 0, 1).astype(np.float32)
    return field
