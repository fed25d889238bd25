"""Command `python -m models.scenes FOLDER`: render example scenes, unseen in training, with their captions.

The playground's are made by it: `python -m models.scenes service/playground/scenes`.
"""

import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from models.scenes.description import draw_descriptions
from models.scenes.rendering import render_scene

NUM_EXAMPLES, SIDE_PX = 20, 160
SEED: Final = 11
"""Seed whose scenes cover every shape and every texture."""


def write_examples(folder: Path) -> None:
    """Write `scenes.json`, a list of captions, and an image per caption: `0.webp`, `1.webp` and so on."""
    rng = np.random.default_rng(SEED)
    scenes = [render_scene(each, rng, side_px=SIDE_PX) for each in draw_descriptions(rng, NUM_EXAMPLES, "unseen")]
    folder.mkdir(parents=True, exist_ok=True)
    captions = [scene.description.caption.replace("a orange", "an orange") for scene in scenes]
    (folder / "scenes.json").write_text(json.dumps(captions, indent=1) + "\n", encoding="utf-8")
    for i, scene in enumerate(scenes):
        Image.fromarray(scene.pixels).save(folder / f"{i}.webp", quality=85, method=6)


if __name__ == "__main__":
    write_examples(Path(sys.argv[1]))
