"""A text encoder as a subject: token ids in, packed batches through.

Letters: b items, t tokens of all items, s longest item, e width.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.errors import SourceError
from export.spelling import fused, observable
from export.subjects.base import Axes, Expected, Feeds, Item, Subject, results
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import AttentionSpec, EmbeddingSpec, Pooling, TextSpec
from models.contract.packing import pack
from models.packed import Layout, PackedEncoder
from models.pooling import pool
from models.preprocess.text import TextPreprocessor

Original = Callable[[Tensor], tuple[Tensor, Sequence[Tensor]]]
"""Token ids `[n]` -> last hidden state `[1, n, e]` and each layer's weights `[1, h, n, n]`, in float64."""


class TextSubject(Subject):
    """`encoder` is traced; `original` is what it is held against. `directory` holds tokenizer.json."""

    modality = "text"

    def __init__(
        self,
        architecture: str,
        directory: Path,
        encoder: PackedEncoder,
        original: Callable[[], Original],
        *,
        text: TextSpec,
        attention: AttentionSpec,
        embedding: tuple[int, bool],
        space: str | None = None,
    ) -> None:
        self.architecture = architecture
        self.text = text
        self.attention = attention
        self.space = space
        self._limits = text
        self._directory = directory
        self._encoder = encoder
        self._original = original
        self._width, self._normalize = embedding
        self.axes: Axes = dict.fromkeys(("input_ids", "position_ids", "pack_index"), ("t",)) | {
            "unpack_index": ("b", "s"),
            "lengths": ("b",),
        }

    @override
    def embedding(self, name: str) -> EmbeddingSpec:
        return EmbeddingSpec(
            width=self._width, pooling=self._encoder.pooling, normalize=self._normalize, space=self.space or name
        )

    @override
    def module(self, *, watching: bool) -> nn.Module:
        return _TextGraph(self._encoder, watching=watching)

    @override
    def feed(self, items: Sequence[Item]) -> Feeds:
        return {**pack(items, position_offset=self._limits.position_offset)}

    @override
    def example(self) -> list[Item]:
        return [np.arange(n, dtype=np.int64) % self._limits.vocabulary_size for n in (12, 5, 20)]

    @override
    def batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """1 to 16 items of 1 to `max_tokens` tokens, of ids from the whole vocabulary."""
        longest = self._limits.max_tokens
        for lengths in (
            [1],
            [3],
            [min(200, longest), 1, min(64, longest)],
            [longest],
            [7] * 9,
            rng.integers(1, 65, 16),
        ):
            yield [rng.integers(0, self._limits.vocabulary_size, min(int(n), longest)) for n in lengths]

    @override
    @torch.no_grad()
    def expect(self, items: Sequence[Item]) -> list[Expected]:
        original = self._original()
        return [self._expect(original, torch.from_numpy(item)) for item in items]

    def _expect(self, original: Original, ids: Tensor) -> Expected:
        hidden, weights = original(ids)
        pooling = _pooler(torch.ones(1, len(ids), dtype=torch.bool), self._encoder.pooling)
        return Expected.of(pooling(hidden), weights, pooling, prefix=0)

    @override
    def copy_files(self, staged: Path) -> None:
        """Copy tokenizer.json, and open it: what the service could not read, or not embed, must not be sealed."""
        path = staged / TOKENIZER_FILE
        shutil.copyfile(self._directory / TOKENIZER_FILE, path)
        largest = TextPreprocessor(path, max_tokens=self._limits.max_tokens).largest_id
        if largest >= self._limits.vocabulary_size:
            known = self._limits.vocabulary_size
            raise SourceError(f"{TOKENIZER_FILE} has the id {largest}, the model embeds {known}")


class _TextGraph(nn.Module):
    def __init__(self, encoder: PackedEncoder, *, watching: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.spelling = observable if watching else fused

    def forward(
        self, input_ids: Tensor, position_ids: Tensor, pack_index: Tensor, unpack_index: Tensor, lengths: Tensor
    ) -> tuple[Tensor, ...]:
        layout = Layout(pack_index, unpack_index, lengths, self.spelling)
        embedding = self.encoder(input_ids, position_ids, layout)
        return results(embedding, layout.weights, _pooler(layout.real(), self.encoder.pooling), prefix=0)


def _pooler(real: Tensor, kind: Pooling) -> Callable[[Tensor], Tensor]:
    return lambda rows: pool(rows, real, kind)
