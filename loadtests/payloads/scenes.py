"""Seeded pictures: coloured shapes on a graded ground, as PNG and JPEG files of several sizes."""

import io
import random

from PIL import Image, ImageDraw

SIDES_PX = ((128, 128), (320, 240), (640, 480), (480, 640))
_COLOURS = ("crimson", "gold", "seagreen", "royalblue", "purple", "darkorange", "white", "black")
_FORMATS = ("PNG", "JPEG")


def pictures(seed: int, count: int) -> list[tuple[str, bytes]]:
    """So many files, each with its media type."""
    source = random.Random(seed)
    return [_picture(source, _FORMATS[i % len(_FORMATS)]) for i in range(count)]


def _picture(source: random.Random, format: str) -> tuple[str, bytes]:
    width, height = source.choice(SIDES_PX)
    ground = Image.linear_gradient("L").resize((width, height))
    picture = Image.merge("RGB", [ground.point(_ramp(source)) for _ in range(3)])
    drawing = ImageDraw.Draw(picture)
    for _ in range(source.randint(1, 3)):
        side = source.randint(min(width, height) // 6, min(width, height) // 2)
        x, y = source.randrange(width - side), source.randrange(height - side)
        box, colour = (x, y, x + side, y + side), source.choice(_COLOURS)
        (drawing.ellipse if source.random() < 0.5 else drawing.rectangle)(box, fill=colour)
    file = io.BytesIO()
    picture.save(file, format)
    return f"image/{format.lower()}", file.getvalue()


def _ramp(source: random.Random) -> list[int]:
    """From one brightness to another over the 256 of a gradient."""
    low, high = source.randint(0, 255), source.randint(0, 255)
    return [low + (high - low) * i // 255 for i in range(256)]
