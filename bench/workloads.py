"""What is sent: seeded prose of a given length and generated scenes, as the bodies of HTTP requests."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import orjson
from PIL import Image

from export.precision.prose import texts
from models.scenes.description import draw
from models.scenes.rendering import render

TEXT_MODEL, IMAGE_MODEL = "all-MiniLM-L6-v2", "scenes-vit"

WORDS = {"short": (8, 13), "mixed": (4, 200), "long": (185, 200)}
"""Words of a text, at least and at most: about 13, 50 and 240 tokens."""

Source = str | bytes
"""A text, or a picture file."""


@dataclass(frozen=True)
class Workload:
    """`per_request` sources in each of the requests that `connections` clients send one after another."""

    name: str
    model: str
    sources: tuple[Source, ...]
    per_request: int = 1
    connections: int = 16
    attention: bool = False

    @property
    def requests(self) -> list[Sequence[Source]]:
        """The sources of each request, all different, in the order of sending."""
        n = self.per_request
        return [self.sources[i : i + n] for i in range(0, len(self.sources) - n + 1, n)]

    @property
    def bodies(self) -> list[bytes]:
        return [body(self.model, request, attention=self.attention) for request in self.requests]


def workloads() -> list[Workload]:
    """Those of docs/benchmarks.md."""
    short, mixed, long = (prose(name, 512) for name in WORDS)
    return [
        Workload("short", TEXT_MODEL, short),
        Workload("mixed", TEXT_MODEL, mixed),
        Workload("long", TEXT_MODEL, long),
        Workload("short_32", TEXT_MODEL, prose("short", 2048), per_request=32),
        Workload("mixed_32", TEXT_MODEL, prose("mixed", 2048), per_request=32),
        Workload("attention", TEXT_MODEL, mixed, attention=True),
        Workload("images", IMAGE_MODEL, scenes(128)),
    ]


def alone() -> list[Workload]:
    """One client that waits for each answer."""
    return [Workload(f"{name}_alone", TEXT_MODEL, prose(name, 256), connections=1) for name in ("short", "long")]


def prose(kind: str, count: int, *, seed: int = 1) -> tuple[str, ...]:
    """`count` different texts of a kind's length."""
    least, most = WORDS[kind]
    if kind == "mixed":
        return tuple(texts(count, "gate", seed=seed))
    rng = np.random.default_rng(seed)
    words = cycle(" ".join(texts(4 * count, "gate", seed=seed)).split())
    cut = (" ".join(islice(words, int(n))) for n in rng.integers(least, most + 1, 2 * count))
    return tuple(islice(dict.fromkeys(cut), count))  # what occurs twice would be computed once


def scenes(count: int) -> tuple[bytes, ...]:
    """PNG files of generated scenes, 128 px wide and high."""
    rng = np.random.default_rng(0)
    return tuple(_png(render(draw(rng, 1), rng).pixels) for _ in range(count))


def body(model: str, sources: Sequence[Source], *, attention: bool, encoding: str = "base64") -> bytes:
    """One request of `/v1/embeddings`; base64 is what the OpenAI client asks for."""
    inputs = [source if isinstance(source, str) else {"image": base64.b64encode(source).decode()} for source in sources]
    asked = {"model": model, "input": inputs, "encoding_format": encoding}
    return orjson.dumps(asked | ({"attention": True} if attention else {}))


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
