"""Workloads of the benchmarks: payloads of the load tests, in fixed lengths and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.payloads.images import generate_images
from loadtests.payloads.texts import generate_texts
from loadtests.payloads.workload import embeddings_body, image_input

TEXT_MODEL, IMAGE_MODEL = "all-MiniLM-L6-v2", "scenes-vit"

WORD_RANGES = {"short": (10, 17), "mixed": (4, 140), "long": (205, 217)}
"""Ranges of words per text: on average 15, 55 and 234 tokens of the default model."""

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
        return [request_body(self.model, sources, attention=self.attention) for sources in self.requests]


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
    """Return `count` different texts of a kind's length; what occurs twice would be computed once."""
    distinct: dict[str, None] = {}
    for text in generate_texts(seed, WORD_RANGES[kind]):
        distinct[text] = None
        if len(distinct) == count:
            return tuple(distinct)
    raise AssertionError("texts have no end")


def workload_images(count: int) -> tuple[bytes, ...]:
    """Return PNG files, 128 px wide and high."""
    return tuple(file for _, file in generate_images(0, count, sizes_px=((128, 128),), formats=("PNG",)))


def request_body(
    model: str, sources: Sequence[InputData], *, attention: bool = False, encoding: str = "base64"
) -> bytes:
    """Return the body of one request of `/v1/embeddings`."""
    inputs = [source if isinstance(source, str) else image_input("image/png", source) for source in sources]
    return embeddings_body(model, inputs, attention={"reduce": "rollout"} if attention else None, encoding=encoding)
