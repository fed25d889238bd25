"""Description of a scene by its caption, and the captions that training may see."""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.scenes.vocabulary import COLORS, RELATIONS, SHAPES, TEXTURES

Split = Literal["train", "unseen"]

HELD_OUT_ONE_IN = 5
"""One caption in HELD_OUT_ONE_IN is excluded from training, chosen by its checksum."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene, as the caption names it."""

    color: str
    shape: str


@dataclass(frozen=True, slots=True)
class SceneDescription:
    """Content of a scene. Two descriptions are equal exactly when their captions are.

    `relation` is of the first object to the second, None where there is one object.
    """

    objects: tuple[SceneObject, ...]
    relation: str | None
    texture: str
    ground: str

    @property
    def caption(self) -> str:
        names = [f"a {thing.color} {thing.shape}" for thing in self.objects]
        return f"{f' {self.relation} '.join(names)} on a {self.texture} {self.ground} background"

    @property
    def split(self) -> Split:
        return "unseen" if zlib.crc32(self.caption.encode()) % HELD_OUT_ONE_IN == 0 else "train"


def draw_description(rng: np.random.Generator, num_objects: int) -> SceneDescription:
    """Draw a description of 1 or 2 objects: no object has the ground's color, two differ in shape and color."""
    if num_objects not in (1, 2):
        raise ValueError(f"a scene has 1 or 2 objects, not {num_objects}")
    colors = [str(color) for color in rng.choice(list(COLORS), size=num_objects + 1, replace=False)]
    shapes = [str(shape) for shape in rng.choice(SHAPES, size=num_objects, replace=False)]
    return SceneDescription(
        objects=tuple(SceneObject(color, shape) for color, shape in zip(colors[1:], shapes, strict=True)),
        relation=str(rng.choice(RELATIONS)) if num_objects == 2 else None,
        texture=str(rng.choice(TEXTURES)),
        ground=colors[0],
    )


def draw_descriptions(
    rng: np.random.Generator, count: int, split: Split, *, single_object_fraction: float = 0.5
) -> list[SceneDescription]:
    """Draw `count` descriptions of `split`, no two alike; of the draws, a share of `single_object_fraction` is of one
    object.

    There are about 4,300 descriptions of one object, so a large `count` holds fewer of them than were drawn. Raises
    ValueError when there are too few to be found.
    """
    found: dict[SceneDescription, None] = {}
    for _ in range(100 * count):
        if len(found) == count:
            return list(found)
        description = draw_description(rng, 1 if rng.random() < single_object_fraction else 2)
        if description.split == split:
            found.setdefault(description)
    raise ValueError(f"found {len(found)} distinct descriptions of {count}")
