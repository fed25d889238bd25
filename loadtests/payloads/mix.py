"""A user's requests, one after another: which kind, how long, with attention or without, all drawn from one seed."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from loadtests.payloads import prose, scenes

Kind = Literal["text", "image"]
PICTURES = 32
"""That all users draw from: making one takes as long as serving it."""

LENGTHS = {"short": prose.SHORT, "mixed": prose.MIXED, "long": prose.LONG}


@dataclass(frozen=True)
class Mix:
    """Shares are 0 to 1: of images among the items, and of requests that ask for attention.

    `items` are in each request. `encoding` is that of the vectors.
    """

    text_model: str
    image_model: str
    words: str = "mixed"
    items: int = 1
    image_share: float = 0.0
    attention_share: float = 0.0
    attention: str = "rollout"
    encoding: Literal["float", "base64"] = "base64"
    path: str = "/v1/embeddings"

    def of(self, image_share: float, attention_share: float) -> "Mix":
        """The same of other shares."""
        return replace(self, image_share=image_share, attention_share=attention_share)


@dataclass(frozen=True)
class Request:
    """One to send. Its latencies are told under `name`; its answer must have so many `items`, and `attention`."""

    path: str
    name: str
    body: bytes
    items: int
    attention: bool


def requests(mix: Mix, seed: int, user: int) -> Iterator[Request]:
    """Endless requests of that user: the same for the same arguments, whatever other users do."""
    source = random.Random(f"{seed} {user}")
    texts = prose.texts(source.getrandbits(64), LENGTHS[mix.words])
    while True:
        kind: Kind = "image" if source.random() < mix.image_share else "text"
        attention = source.random() < mix.attention_share
        items: list[Any] = [_picture(source, seed) if kind == "image" else next(texts) for _ in range(mix.items)]
        yield _request(mix, kind, items, attention=attention)


def _request(mix: Mix, kind: Kind, items: list[Any], *, attention: bool) -> Request:
    model = mix.image_model if kind == "image" else mix.text_model
    fields: dict[str, Any] = {"model": model, "input": items, "encoding_format": mix.encoding}
    if attention:
        fields["attention"] = {"reduce": mix.attention}
    name = f"{kind}{' with attention' if attention else ''}"
    return Request(mix.path, name, json.dumps(fields, separators=(",", ":")).encode(), mix.items, attention)


def _picture(source: random.Random, seed: int) -> dict[str, str]:
    return {"image": _data_urls(seed)[source.randrange(PICTURES)]}


@cache
def _data_urls(seed: int) -> list[str]:
    files = scenes.pictures(seed, PICTURES)
    return [f"data:{kind};base64,{base64.b64encode(file).decode()}" for kind, file in files]
