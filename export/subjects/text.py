"""A text encoder as a subject: token ids in, packed batches through.

Letters: b items, t tokens of all items, s longest item, k heads that are asked for, e width.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.precision.prose import texts
from export.precision.use import Use
from export.spelling import OnnxSpelling
from export.subjects.base import Axes, Expected, Feeds, Item, Seen, Subject, as_tensors, results
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.artifact import TOKENIZER_FILE
from models.contract.manifest import AttentionSpec, EmbeddingSpec, TextSpec
from models.contract.packing import pack
from models.packed import Layout, PackedEncoder, torch_fused
from models.pooling import shares
from models.preprocess.text import TextPreprocessor

Original = Callable[[Tensor], tuple[Tensor, Sequence[Tensor]]]
"""Token ids `[n]` -> the vector `[1, e]` and each layer's weights `[1, h, n, n]`, in float64."""

LONGEST_COMPARED = 512
"""Tokens of the longest item that is compared: in float64, and spelled out, a longer one costs gigabytes."""


TEXTS: dict[Use, int] = {"calibration": 150, "gate": 320}


@dataclass(frozen=True)
class TextFacts:
    """What is known of a text encoder beside its weights. `tokenizer` is the text of its tokenizer.json."""

    architecture: str
    tokenizer: str
    text: TextSpec
    attention: AttentionSpec
    normalize: bool
    space: str | None = None


class TextSubject(Subject):
    """`encoder` is traced; `original` is what it is held against."""

    modality = "text"

    def __init__(self, facts: TextFacts, encoder: PackedEncoder, original: Callable[[], Original]) -> None:
        self.architecture = facts.architecture
        self.text = self._limits = facts.text
        self.attention = facts.attention
        self._facts = facts
        self._encoder = encoder
        self._original = original
        self.axes: Axes = dict.fromkeys(("input_ids", "position_ids", "pack_index"), ("t",)) | {
            "unpack_index": ("b", "s"),
            "lengths": ("b",),
            tensors.HEADS: ("k",),
        }

    @override
    def embedding(self, name: str) -> EmbeddingSpec:
        return EmbeddingSpec(
            width=self._encoder.width,
            pooling=self._encoder.pooling,
            normalize=self._facts.normalize,
            space=self._facts.space or name,
        )

    @override
    def module(self) -> nn.Module:
        return _TextGraph(self._encoder)

    @override
    def feed(self, items: Sequence[Item]) -> Feeds:
        return {**pack(items, position_offset=self._limits.position_offset)}

    @override
    def example(self) -> list[Item]:
        return [
            np.arange(min(n, self._limits.max_tokens), dtype=np.int64) % self._limits.vocabulary_size
            for n in (12, 5, 20)
        ]

    @override
    def batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """1 to 16 items of 1 to `max_tokens` tokens, of ids from the whole vocabulary."""
        longest = min(self._limits.max_tokens, LONGEST_COMPARED)
        for lengths in ([1], [3], [min(200, longest), 1, 64], [longest], [7] * 7, rng.integers(1, 65, 16)):
            least = 1 if self._limits.padding_id is None else longest
            yield [rng.integers(0, self._limits.vocabulary_size, min(max(int(n), least), longest)) for n in lengths]

    @override
    @torch.no_grad()
    def expect(self, items: Sequence[Item]) -> list[Expected]:
        original = self._original()
        return [self._expect(original, torch.from_numpy(item)) for item in items]

    def _expect(self, original: Original, ids: Tensor) -> Expected:
        vector, weights = original(ids)
        real = torch.ones(1, len(ids), dtype=torch.bool)
        return Expected.of(vector, weights, shares(real, self._encoder.pooling, vector.dtype), prefix=0)

    @override
    @torch.no_grad()
    def embed(self, items: Sequence[Item], *, half: bool = False) -> Floats:
        encoder = self._half if half else self._encoder
        fed = as_tensors(self.feed(items))
        layout = Layout(fed["pack_index"], fed["unpack_index"], fed["lengths"], torch_fused)
        vectors: Floats = encoder(fed["input_ids"], fed["position_ids"], layout).float().numpy()
        return vectors

    @cached_property
    def _half(self) -> PackedEncoder:
        return copy.deepcopy(self._encoder).half()

    @override
    def corpus(self, use: Use) -> list[Item]:
        tokenize = TextPreprocessor(self._facts.tokenizer, self._limits)
        return [text.ids for text in tokenize(texts(TEXTS[use], use))]

    @override
    def copy_files(self, staged: Path) -> None:
        (staged / TOKENIZER_FILE).write_text(self._facts.tokenizer, encoding="utf-8")


class _TextGraph(nn.Module):
    def __init__(self, encoder: PackedEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        pack_index: Tensor,
        unpack_index: Tensor,
        lengths: Tensor,
        heads: Tensor,
    ) -> tuple[Tensor, ...]:
        spelling = OnnxSpelling(heads)
        layout = Layout(pack_index, unpack_index, lengths, spelling)
        embedding = self.encoder(input_ids, position_ids, layout)
        each = shares(layout.real(), self.encoder.pooling, torch.float32)
        return results(embedding, Seen(layout.weights, spelling.chosen, each))
