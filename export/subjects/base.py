"""What tracing, parity and the manifest must know of an encoder, whatever its modality.

An *item* is what one request input becomes: token ids `[n]`, or a picture `[y, x, 3]`.
Letters: b items, s positions of the longest item, n positions of one item, m of them that attention is told on,
h heads, l layers, e width.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from export.precision.use import Use
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.manifest import AttentionSpec, EmbeddingSpec, ImageSpec, Modality, TextSpec
from models.relevance import told

Item = npt.NDArray[Any]
Feeds = dict[str, npt.NDArray[Any]]
Axes = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Expected:
    """What the trained original says of one item."""

    embedding: Floats  # [e], length 1
    weights: list[Floats]  # a layer: [h, n, n]
    matrices: dict[tensors.Reduction, Floats]  # [m, m]
    pooled: dict[tensors.Reduction, Floats]  # [m]

    @classmethod
    def of(cls, vector: Tensor, weights: Sequence[Tensor], shares: Tensor, prefix: int) -> "Expected":
        """vector `[1, e]`, a layer's weights `[1, h, n, n]`, each position's share of the vector `[1, n]`."""
        relevances = told(weights, shares, prefix)
        return cls(
            embedding=(vector / vector.norm())[0].numpy(),
            weights=[layer[0].numpy() for layer in weights],
            matrices={r: each.matrix[0].numpy() for r, each in relevances.items()},
            pooled={r: each.pooled[0].numpy() for r, each in relevances.items()},
        )


class Subject(ABC):
    """An encoder to export. `axes` names the dynamic axes of the graph's inputs by the house's letters."""

    modality: Modality
    architecture: str
    space: str | None = None
    text: TextSpec | None = None
    image: ImageSpec | None = None
    attention: AttentionSpec | None
    axes: Axes

    @abstractmethod
    def embedding(self, name: str) -> EmbeddingSpec:
        """How vectors come about; `name` is the artifact's."""

    @abstractmethod
    def module(self) -> nn.Module:
        """The graph to trace: takes the inputs in the order of `axes`, returns what `outputs` names."""

    @abstractmethod
    def feed(self, items: Sequence[Item]) -> Feeds:
        """One batch as the graph's inputs, but those of `models.contract.asking`."""

    @abstractmethod
    def example(self) -> list[Item]:
        """Items to trace with: several, unlike in size where sizes can differ."""

    @abstractmethod
    def batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """Batches that tracing never saw, for parity."""

    @abstractmethod
    def expect(self, items: Sequence[Item]) -> list[Expected]:
        """What the trained original, in float64 and one item at a time, says of each."""

    @abstractmethod
    def embed(self, items: Sequence[Item], *, half: bool = False) -> Floats:
        """The encoder's own vectors `[b, e]`, by torch in float32, or in float16 throughout."""

    @abstractmethod
    def corpus(self, use: Use) -> list[Item]:
        """Items as they are sent in earnest; those to calibrate on are not those to judge by."""

    @abstractmethod
    def copy_files(self, staged: Path) -> None:
        """Put what the service needs beside the graph into `staged`. Raises SourceError."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `module` returns."""
        return (tensors.EMBEDDING, *(tensors.observed(self.attention.layers) if self.attention else ()))

    @property
    def heads(self) -> range:
        """The heads that every layer has."""
        return range(min(self.attention.heads) if self.attention else 0)

    @property
    def fused_attentions(self) -> int:
        """How many attentions of the graph are one operator each."""
        return self.attention.layers if self.attention else 0


@dataclass(frozen=True)
class Seen:
    """What was observed of one batch: each layer's weights `[b, h, s, s]`, those of the chosen heads, and `shares`
    `[b or 1, s]`, what each position has of the vector. Of the positions, `prefix` belong to no part of the item."""

    weights: Sequence[Tensor]
    chosen: Sequence[Tensor]
    shares: Tensor
    prefix: int = 0


def results(embedding: Tensor, seen: Seen | None) -> tuple[Tensor, ...]:
    """What a graph returns, in the order of `Subject.outputs`."""
    if seen is None:
        return (embedding.float(),)
    row = seen.shares[:, None, None]
    relevances = told(seen.weights, seen.shares, seen.prefix)
    reduced = [tensor for r in tensors.REDUCTIONS for tensor in (relevances[r].matrix, relevances[r].pooled)]
    raw = [tensor for layer in seen.chosen for tensor in (layer, (row @ layer)[:, :, 0])]
    return (embedding.float(), *reduced, *raw)


def as_tensors(feeds: Feeds) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in feeds.items()}
