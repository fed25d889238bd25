"""Workloads: seeded prose of a given length and generated scenes, as bodies of HTTP requests."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import orjson
from PIL import Image

from export.quantization.synthetic_corpus import generate_texts
from models.scenes.description import draw_description
from models.scenes.rendering import render_scene

TEXT_MODEL, IMAGE_MODEL = "all-MiniLM-L6-v2", "scenes-vit"

WORD_RANGES = {"short": (8, 13), "mixed": (4, 200), "long": (185, 200)}
"""Ranges of words per text: about 13, 50 and 240 tokens."""

InputData = str | bytes
"""Text, or image file."""


@dataclass(frozen=True)
class Workload:
    """`inputs_per_request` sources in each of the requests that `connections` clients send one after another."""

    name: str
    model: str
    inputs: tuple[InputData, ...]
    inputs_per_request: int = 1
    connections: int = 16
    attention: bool = False

    @property
    def requests(self) -> list[Sequence[InputData]]:
        """The sources of each request, all different, in the order of sending."""
        n = self.inputs_per_request
        return [self.inputs[i : i + n] for i in range(0, len(self.inputs) - n + 1, n)]

    @property
    def bodies(self) -> list[bytes]:
        return [embeddings_body(self.model, request, attention=self.attention) for request in self.requests]


def default_workloads() -> list[Workload]:
    """Those of docs/benchmarks.md."""
    short, mixed, long = (workload_texts(name, 512) for name in WORD_RANGES)
    return [
        Workload("short", TEXT_MODEL, short),
        Workload("mixed", TEXT_MODEL, mixed),
        Workload("long", TEXT_MODEL, long),
        Workload("short_32", TEXT_MODEL, workload_texts("short", 2048), inputs_per_request=32),
        Workload("mixed_32", TEXT_MODEL, workload_texts("mixed", 2048), inputs_per_request=32),
        Workload("attention", TEXT_MODEL, mixed, attention=True),
        Workload("images", IMAGE_MODEL, workload_images(128)),
    ]


def single_client_workloads() -> list[Workload]:
    """One client that waits for each answer."""
    return [
        Workload(f"{name}_alone", TEXT_MODEL, workload_texts(name, 256), connections=1) for name in ("short", "long")
    ]


def workload_texts(kind: str, count: int, *, seed: int = 1) -> tuple[str, ...]:
    """`count` different texts of a kind's length."""
    low, high = WORD_RANGES[kind]
    if kind == "mixed":
        return tuple(generate_texts(count, "gate", seed=seed))
    rng = np.random.default_rng(seed)
    words = cycle(" ".join(generate_texts(4 * count, "gate", seed=seed)).split())
    cut = (" ".join(islice(words, int(n))) for n in rng.integers(low, high + 1, 2 * count))
    return tuple(islice(dict.fromkeys(cut), count))  # what occurs twice would be computed once


def workload_images(count: int) -> tuple[bytes, ...]:
    """PNG files of generated scenes, 128 px wide and high."""
    rng = np.random.default_rng(0)
    return tuple(_encode_png(render_scene(draw_description(rng, 1), rng).pixels) for _ in range(count))


def embeddings_body(model: str, inputs: Sequence[InputData], *, attention: bool, encoding: str = "base64") -> bytes:
    """One request of `/v1/embeddings`; base64 is what the OpenAI client asks for."""
    encoded = [source if isinstance(source, str) else {"image": base64.b64encode(source).decode()} for source in inputs]
    fields = {"model": model, "input": encoded, "encoding_format": encoding}
    return orjson.dumps(fields | ({"attention": True} if attention else {}))


def _encode_png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
