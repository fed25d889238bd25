"""Seeded images: colored shapes on a gradient, as PNG and JPEG files of several sizes."""

import io
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

SIZES_PX: Sequence[tuple[int, int]] = ((128, 128), (320, 240), (640, 480), (480, 640))
_COLORS = ("crimson", "gold", "seagreen", "royalblue", "purple", "darkorange", "white", "black")
FORMATS = ("PNG", "JPEG")


def generate_images(
    seed: int, count: int, *, sizes_px: Sequence[tuple[int, int]] = SIZES_PX, formats: Sequence[str] = FORMATS
) -> list[tuple[str, bytes]]:
    """Generate `count` image files, each with its media type; sizes (width, height) are drawn, formats alternate."""
    rng = random.Random(seed)
    return [_generate_image(rng, rng.choice(sizes_px), formats[i % len(formats)]) for i in range(count)]


def _generate_image(rng: random.Random, size_px: tuple[int, int], format: str) -> tuple[str, bytes]:
    width, height = size_px
    gradient = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", [gradient.point(_brightness_table(rng)) for _ in range(3)])
    drawing = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 3)):
        side = rng.randint(min(width, height) // 6, min(width, height) // 2)
        x, y = rng.randrange(width - side), rng.randrange(height - side)
        box, color = (x, y, x + side, y + side), rng.choice(_COLORS)
        (drawing.ellipse if rng.random() < 0.5 else drawing.rectangle)(box, fill=color)
    file = io.BytesIO()
    image.save(file, format)
    return f"image/{format.lower()}", file.getvalue()


def _brightness_table(rng: random.Random) -> list[int]:
    """Return the 256 steps of a gradient from one brightness to another."""
    low, high = rng.randint(0, 255), rng.randint(0, 255)
    return [low + (high - low) * i // 255 for i in range(256)]
