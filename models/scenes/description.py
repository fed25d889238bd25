"""What a caption says about a scene, and which captions training may see."""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.scenes.vocabulary import COLOURS, RELATIONS, SHAPES, TEXTURES

Split = Literal["train", "unseen"]

UNSEEN_ONE_IN = 5
"""One caption in so many is never trained on, chosen by its checksum."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object, as named."""

    colour: str
    shape: str


@dataclass(frozen=True, slots=True)
class Description:
    """All that is said of a scene. Two descriptions are equal exactly when their captions are.

    `relation` is of the first object to the second, None where there is one object.
    """

    things: tuple[Thing, ...]
    relation: str | None
    texture: str
    ground: str

    @property
    def caption(self) -> str:
        names = [f"a {thing.colour} {thing.shape}" for thing in self.things]
        return f"{f' {self.relation} '.join(names)} on a {self.texture} {self.ground} background"

    @property
    def split(self) -> Split:
        return "unseen" if zlib.crc32(self.caption.encode()) % UNSEEN_ONE_IN == 0 else "train"


def draw(rng: np.random.Generator, things: int) -> Description:
    """Draw a description of 1 or 2 `things`: no object has the ground's colour, two differ in shape and colour."""
    if things not in (1, 2):
        raise ValueError(f"a scene holds 1 or 2 things, not {things}")
    colours = [str(colour) for colour in rng.choice(list(COLOURS), size=things + 1, replace=False)]
    shapes = [str(shape) for shape in rng.choice(SHAPES, size=things, replace=False)]
    return Description(
        things=tuple(Thing(colour, shape) for colour, shape in zip(colours[1:], shapes, strict=True)),
        relation=str(rng.choice(RELATIONS)) if things == 2 else None,
        texture=str(rng.choice(TEXTURES)),
        ground=colours[0],
    )


def draw_distinct(rng: np.random.Generator, count: int, split: Split, *, one_in: float = 0.5) -> list[Description]:
    """Draw `count` descriptions of `split`, no two alike; of the draws, a share of `one_in` is of one object.

    There are about 4,300 descriptions of one object, so a large `count` holds fewer of them than were drawn. Raises
    ValueError when there are too few to be found.
    """
    found: dict[Description, None] = {}
    for _ in range(100 * count):
        if len(found) == count:
            return list(found)
        description = draw(rng, 1 if rng.random() < one_in else 2)
        if description.split == split:
            found.setdefault(description)
    raise ValueError(f"found {len(found)} distinct descriptions of {count}")
