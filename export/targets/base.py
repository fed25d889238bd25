"""Interface of an export target to tracing, parity and the manifest.

An *item* is what one request input becomes: token ids `[n]`, with token types `[2, n]`, or an image `[y, x, 3]`.
Letters: b items, n positions of one item, y, x rows and columns of an image in px, e width, c labels.
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

from export.targets.reference import ExpectedOutputs, ReferenceModel
from models.artifact import tensors
from models.artifact.arrays import Floats
from models.artifact.specs import AttentionSpec, EmbeddingSpec, HeadSpec, ImageSpec, Modality, Task, TextSpec
from models.packed import PackedEncoder
from models.precision import convert
from models.synthetic_corpus import CorpusSplit
from models.vision import VisionEncoder

Item = npt.NDArray[Any]
GraphInputs = dict[str, npt.NDArray[Any]]
Axes = dict[str, tuple[str, ...]]
Encoder = PackedEncoder | VisionEncoder
EncoderT = TypeVar("EncoderT", bound=Encoder, default=Any)


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Facts about an encoder besides its weights. Without a `space` it has the artifact's name for one.

    `task` is what it answers with, and `head` the labels of that, if it does not embed. `notes` are lines for the
    person who exports it: assumptions, and what was left out.
    """

    task: Task = "embed"
    head: HeadSpec | None = None
    architecture: str
    normalize: bool
    space: str | None
    notes: tuple[str, ...] = ()


class ExportTarget(ABC, Generic[EncoderT]):
    """An encoder to export, and the trained original that it is compared with.

    `axes` names the dynamic axes of the graph's inputs by the house's letters.
    """

    modality: Modality
    text: TextSpec | None = None
    image: ImageSpec | None = None
    attention: AttentionSpec | None
    axes: Axes

    def __init__(
        self, info: ModelInfo, load: Callable[[], EncoderT], reference: Callable[[torch.dtype], ReferenceModel]
    ) -> None:
        """`load` reads the encoder, `reference` the trained one that it is compared with, in a given precision.

        Each may be called several times: neither is kept in memory longer than it is needed.
        """
        self.architecture, self.notes = info.architecture, info.notes
        self.task, self.head = info.task, info.head
        self._info = info
        self._load = load
        self._reference = reference
        encoder = self._encoder
        self._embedding_dim, self._pooling, self._embedding_kind = (
            encoder.embedding_dim,
            encoder.pooling,
            encoder.embedding_kind,
        )

    @abstractmethod
    def module(self) -> nn.Module:
        """Return the module to trace: it takes the inputs in the order of `axes` and returns what `outputs` names."""

    @abstractmethod
    def graph_inputs(self, items: Sequence[Item]) -> GraphInputs:
        """One batch as the graph's inputs, but those of `models.artifact.graph_inputs`."""

    @abstractmethod
    def dummy_inputs(self) -> list[Item]:
        """Items to trace with: several, unlike in size where sizes can differ."""

    @abstractmethod
    def validation_batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """Batches that tracing never saw, for parity."""

    @abstractmethod
    def run_with(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        """Return the outputs of one batch by torch, as `tensors.OUTPUT` has them; `encoder` is this one in any
        precision."""

    @abstractmethod
    def corpus(self, split: CorpusSplit) -> list[Item]:
        """Items as they are sent in earnest; those to calibrate on are not those to judge by."""

    @abstractmethod
    def copy_files(self, staging_dir: Path) -> None:
        """Copy the files that the service needs in addition to the graph into `staging_dir`. Raises SourceError."""

    def embedding_spec(self, name: str) -> EmbeddingSpec:
        """How vectors come about; `name` is the artifact's."""
        return EmbeddingSpec(
            dim=self._embedding_dim,
            pooling=self._pooling,
            normalize=self._info.normalize,
            token_embeddings=self._embedding_kind,
            space=self._info.space or name,
        )

    @torch.no_grad()
    def reference_outputs(self, items: Sequence[Item], dtype: torch.dtype = torch.float64) -> Iterator[ExpectedOutputs]:
        """Yield the trained original's outputs for each item, one at a time, in that precision."""
        reference, num_prefix_tokens = self._reference(dtype), self.image.num_prefix_tokens if self.image else 0
        for item in items:
            yield ExpectedOutputs.from_reference(reference(torch.from_numpy(item)[None]), num_prefix_tokens)

    def parameters(self) -> dict[str, Floats]:
        """Return the encoder's parameters by the names that `module` gives them in a graph."""
        return {f"encoder.{name}": value.detach().numpy() for name, value in self._encoder.named_parameters()}

    def release(self) -> None:
        """Free the encoder's memory; it is read again when it is needed."""
        for cached in ("_encoder", "_half_encoder"):
            self.__dict__.pop(cached, None)

    @cached_property
    def _encoder(self) -> EncoderT:
        return self._load()

    @torch.no_grad()
    def run(self, items: Sequence[Item], *, half: bool = False) -> Floats:
        """Return the encoder's own outputs, by torch in float32, or in float16 throughout."""
        encoder: nn.Module = self._half_encoder if half else self._encoder
        outputs: Floats = self.run_with(encoder, items).float().numpy()
        return outputs

    @cached_property
    def _half_encoder(self) -> nn.Module:
        return convert(copy.deepcopy(self._encoder), torch.float16)

    @property
    def width(self) -> int:
        """Values of a vector."""
        return self._embedding_dim

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `module` returns."""
        layers = self.attention.num_layers if self.attention else 0
        return tensors.graph_outputs(layers, sparse=self.task == "sparse")

    @property
    def pooled_from_tokens(self) -> bool:
        """The pooling of the positions' vectors is the item's."""
        return self._embedding_kind == "pooled"

    @property
    def heads(self) -> range:
        """The heads that every layer has."""
        return range(min(self.attention.heads) if self.attention else 0)

    @property
    def fused_attentions(self) -> int:
        """How many attentions of the graph are one operator each."""
        return self.attention.num_layers if self.attention else 0


def as_tensors(feeds: GraphInputs) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in feeds.items()}
