"""What tracing, parity and the manifest must know of an encoder, whatever its modality.

An *item* is what one request input becomes: token ids `[n]`, or a picture `[y, x, 3]`.
Letters: b items, n positions of one item, y, x rows and columns of a picture in px, e width.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from export.precision.use import Use
from export.subjects.original import Expected, Original
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.specs import AttentionSpec, EmbeddingSpec, ImageSpec, Modality, TextSpec
from models.packed import PackedEncoder
from models.picture import PictureEncoder
from models.precision import convert

Item = npt.NDArray[Any]
Feeds = dict[str, npt.NDArray[Any]]
Axes = dict[str, tuple[str, ...]]
Encoder = PackedEncoder | PictureEncoder
EncoderT = TypeVar("EncoderT", bound=Encoder, default=Any)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about an encoder besides its weights. Without a `space` it has the artifact's name for one.

    `notes` are lines for the person who exports it: assumptions, and what was left out.
    """

    architecture: str
    normalize: bool
    space: str | None
    notes: tuple[str, ...] = ()


class Subject(ABC, Generic[EncoderT]):
    """An encoder to export, and the trained original that it is compared with.

    `axes` names the dynamic axes of the graph's inputs by the house's letters.
    """

    modality: Modality
    text: TextSpec | None = None
    image: ImageSpec | None = None
    attention: AttentionSpec | None
    axes: Axes

    def __init__(self, facts: Facts, load: Callable[[], EncoderT], original: Callable[[torch.dtype], Original]) -> None:
        """`load` reads the encoder, `original` the trained one that it is compared with, in a given precision.

        Each may be called several times: neither is kept in memory longer than it is needed.
        """
        self.architecture, self.notes = facts.architecture, facts.notes
        self._facts = facts
        self._load = load
        self._original = original
        encoder = self._encoder
        self._width, self._pooling, self._positions = encoder.width, encoder.pooling, encoder.positions

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
    def run(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        """The vectors `[b, e]` that torch makes of one batch; `encoder` is this one, in whatever precision."""

    @abstractmethod
    def corpus(self, use: Use) -> list[Item]:
        """Items as they are sent in earnest; those to calibrate on are not those to judge by."""

    @abstractmethod
    def copy_files(self, staged: Path) -> None:
        """Put what the service needs beside the graph into `staged`. Raises SourceError."""

    def embedding(self, name: str) -> EmbeddingSpec:
        """How vectors come about; `name` is the artifact's."""
        return EmbeddingSpec(
            width=self._width,
            pooling=self._pooling,
            normalize=self._facts.normalize,
            positions=self._positions,
            space=self._facts.space or name,
        )

    @torch.no_grad()
    def expect(self, items: Sequence[Item], dtype: torch.dtype = torch.float64) -> Iterator[Expected]:
        """What the trained original, in that precision and one item at a time, answers for each."""
        original, prefix = self._original(dtype), self.image.prefix if self.image else 0
        for item in items:
            yield Expected.of(original(torch.from_numpy(item)[None]), prefix)

    def parameters(self) -> dict[str, Floats]:
        """The encoder's parameters by the names that `module` gives them in a graph."""
        return {f"encoder.{name}": value.detach().numpy() for name, value in self._encoder.named_parameters()}

    def release(self) -> None:
        """Free the encoder's memory; it is read again when it is needed."""
        for cached in ("_encoder", "_half"):
            self.__dict__.pop(cached, None)

    @cached_property
    def _encoder(self) -> EncoderT:
        return self._load()

    @torch.no_grad()
    def embed(self, items: Sequence[Item], *, half: bool = False) -> Floats:
        """The encoder's own vectors `[b, e]`, by torch in float32, or in float16 throughout."""
        encoder: nn.Module = self._half if half else self._encoder
        vectors: Floats = self.run(encoder, items).float().numpy()
        return vectors

    @cached_property
    def _half(self) -> nn.Module:
        return convert(copy.deepcopy(self._encoder), torch.float16)

    @property
    def width(self) -> int:
        """Values of a vector."""
        return self._width

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `module` returns."""
        return tensors.outputs(self.attention.layers if self.attention else 0)

    @property
    def parts(self) -> bool:
        """The pooling of the positions' vectors is the item's."""
        return self._positions == "parts"

    @property
    def heads(self) -> range:
        """The heads that every layer has."""
        return range(min(self.attention.heads) if self.attention else 0)

    @property
    def fused_attentions(self) -> int:
        """How many attentions of the graph are one operator each."""
        return self.attention.layers if self.attention else 0


def as_tensors(feeds: Feeds) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in feeds.items()}
