"""Vocabulary of captions, and the colors of its words."""

from typing import Final

COLORS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (214, 39, 40),
    "orange": (247, 134, 20),
    "yellow": (240, 218, 50),
    "green": (44, 150, 60),
    "turquoise": (60, 200, 190),
    "blue": (40, 80, 200),
    "purple": (130, 55, 170),
    "pink": (245, 150, 190),
    "white": (244, 244, 244),
    "black": (26, 26, 26),
}
"""sRGB, 0 to 255. Each use of a color is jittered around it."""

SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "crescent")
TEXTURES: Final = ("plain", "striped", "checkered", "dotted", "wavy", "speckled")
RELATIONS: Final = ("to the left of", "above")
"""Relations of the first object to the second; the other two directions describe the same scene in reverse order."""
