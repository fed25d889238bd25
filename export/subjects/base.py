"""What tracing, parity and the manifest must know of an encoder, whatever its modality.

An *item* is what one request input becomes: token ids `[n]`, or a picture `[y, x, 3]`.
Letters: b items, s positions of the longest item, n positions of one item, m of them that attention is told on,
h heads, l layers, e width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

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
    def of(cls, vector: Tensor, weights: Sequence[Tensor], pool: "Pool", prefix: int) -> "Expected":
        """vector `[1, e]`, a layer's weights `[1, h, n, n]`."""
        relevances = {r: told(weights, r, pool, prefix) for r in tensors.REDUCTIONS} if weights else {}
        return cls(
            embedding=(vector / vector.norm())[0].numpy(),
            weights=[layer[0].numpy() for layer in weights],
            matrices={r: matrix[0].numpy() for r, (matrix, _) in relevances.items()},
            pooled={r: pooled[0].numpy() for r, (_, pooled) in relevances.items()},
        )


Pool = Callable[[Tensor], Tensor]
"""Rows `[b, s, k]` to one row an item `[b, k]`, as the encoder pools its positions."""


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
    def module(self, *, watching: bool) -> nn.Module:
        """The graph to trace: takes the inputs in the order of `axes`, returns what `outputs` names."""

    @abstractmethod
    def feed(self, items: Sequence[Item]) -> Feeds:
        """One batch as the graph's inputs."""

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
    def copy_files(self, staged: Path) -> None:
        """Put what the service needs beside the graphs into `staged`. Raises SourceError."""

    def outputs(self, *, watching: bool) -> tuple[str, ...]:
        """Names of what `module` returns."""
        if not watching or self.attention is None:
            return (tensors.EMBEDDING,)
        return (tensors.EMBEDDING, *tensors.observed(self.attention.layers))


def results(embedding: Tensor, weights: Sequence[Tensor], pool: Pool, prefix: int) -> tuple[Tensor, ...]:
    """What a watched graph returns, in the order of `Subject.outputs`; the embedding alone where nothing was seen."""
    if not weights:
        return (embedding,)
    relevances = [tensor for r in tensors.REDUCTIONS for tensor in told(weights, r, pool, prefix)]
    return (embedding, *relevances, *weights)


def as_tensors(feeds: Feeds) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in feeds.items()}
