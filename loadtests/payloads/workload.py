"""Requests of a user: kind, length and attention, drawn from one seed."""

import base64
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any, Literal

from loadtests.payloads import images
from loadtests.payloads import texts as prose

InputKind = Literal["text", "image"]
IMAGE_COUNT = 32
"""Number of images that all users draw from: generating one takes as long as serving it."""

TEXT_LENGTHS = {"short": prose.SHORT, "mixed": prose.MIXED, "long": prose.LONG}


@dataclass(frozen=True)
class Workload:
    """Mix of requests. Shares are 0 to 1: of images among the items, and of requests that ask for attention.

    `inputs_per_request` are in each request. `encoding` is that of the vectors.
    """

    text_model: str
    image_model: str
    text_length: str = "mixed"
    inputs_per_request: int = 1
    image_share: float = 0.0
    attention_share: float = 0.0
    attention: str = "rollout"
    encoding: Literal["float", "base64"] = "base64"
    path: str = "/v1/embeddings"

    def with_shares(self, image_share: float, attention_share: float) -> "Workload":
        """Return a copy with other shares."""
        return replace(self, image_share=image_share, attention_share=attention_share)


@dataclass(frozen=True)
class Request:
    """One request. Latencies are reported under `name`; `num_inputs` and `has_attention` describe a valid response."""

    path: str
    name: str
    body: bytes
    num_inputs: int
    has_attention: bool


def generate_requests(workload: Workload, seed: int, user: int) -> Iterator[Request]:
    """Generate the requests of one user, endlessly; equal arguments give equal requests."""
    rng = random.Random(f"{seed} {user}")
    texts = prose.generate_texts(rng.getrandbits(64), TEXT_LENGTHS[workload.text_length])
    while True:
        kind: InputKind = "image" if rng.random() < workload.image_share else "text"
        attention = rng.random() < workload.attention_share
        count = workload.inputs_per_request
        if kind == "image":
            inputs: list[Any] = [_image_inputs(seed)[rng.randrange(IMAGE_COUNT)] for _ in range(count)]
        else:
            inputs = list(islice(texts, count))
        yield _request(workload, kind, inputs, attention=attention)


def _request(workload: Workload, kind: InputKind, inputs: list[Any], *, attention: bool) -> Request:
    model = workload.image_model if kind == "image" else workload.text_model
    body = embeddings_body(
        model, inputs, attention={"reduce": workload.attention} if attention else None, encoding=workload.encoding
    )
    name = f"{kind}{' with attention' if attention else ''}"
    return Request(workload.path, name, body, workload.inputs_per_request, attention)


def embeddings_body(
    model: str, inputs: Sequence[Any], *, attention: Mapping[str, Any] | None = None, encoding: str = "base64"
) -> bytes:
    """Return the body of a request of `/v1/embeddings`; base64 is what the OpenAI client asks for."""
    fields: dict[str, Any] = {"model": model, "input": inputs, "encoding_format": encoding}
    if attention is not None:
        fields["attention"] = attention
    return json.dumps(fields, separators=(",", ":")).encode()


def image_input(media_type: str, file: bytes) -> dict[str, str]:
    """Return an image file as an input."""
    return {"image": f"data:{media_type};base64,{base64.b64encode(file).decode()}"}


@cache
def _image_inputs(seed: int) -> list[dict[str, str]]:
    return [image_input(*file) for file in images.generate_images(seed, IMAGE_COUNT)]
