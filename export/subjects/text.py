"""A text encoder as a subject: token ids in, packed batches through.

Letters: b items, t tokens of all items, s longest item, k heads that are asked for, e width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.precision.prose import texts
from export.precision.use import Use
from export.spelling import OnnxSpelling
from export.subjects.base import Axes, Facts, Feeds, Item, Subject, as_tensors
from export.subjects.original import Original
from export.subjects.seen import Seen, left, results
from models.contract import tensors
from models.contract.artifact import TOKENIZER_FILE
from models.contract.packing import pack
from models.contract.specs import AttentionSpec, TextSpec
from models.packed import Layout, PackedEncoder, torch_fused
from models.pooling import shares
from models.preprocess.text import TextPreprocessor

LONGEST_COMPARED = 512
"""Tokens of the longest item that is compared: in float64, and spelled out, a longer one costs gigabytes."""

TEXTS: dict[Use, int] = {"calibration": 150, "gate": 320}


@dataclass(frozen=True, kw_only=True)
class TextFacts(Facts):
    """`tokenizer` is the text of its tokenizer.json."""

    tokenizer: str
    text: TextSpec
    attention: AttentionSpec


class TextSubject(Subject[PackedEncoder]):
    """A packed encoder, the token ids of each text an item."""

    modality = "text"

    def __init__(
        self, facts: TextFacts, load: Callable[[], PackedEncoder], original: Callable[[torch.dtype], Original]
    ) -> None:
        super().__init__(facts, load, original)
        self.text = self._limits = facts.text
        self.attention = facts.attention
        self._tokenizer = facts.tokenizer
        self.axes: Axes = dict.fromkeys(("input_ids", "position_ids", "pack_index"), ("t",)) | {
            "unpack_index": ("b", "s"),
            "lengths": ("b",),
            tensors.HEADS: ("k",),
        }

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
    def run(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        fed = as_tensors(self.feed(items))
        layout = Layout(fed["pack_index"], fed["unpack_index"], fed["lengths"], torch_fused)
        vectors: Tensor = encoder(fed["input_ids"], fed["position_ids"], layout)
        return vectors

    @override
    def corpus(self, use: Use) -> list[Item]:
        tokenize = TextPreprocessor(self._tokenizer, self._limits)
        return [text.ids for text in tokenize(texts(TEXTS[use], use))]

    @override
    def copy_files(self, staged: Path) -> None:
        (staged / TOKENIZER_FILE).write_text(self._tokenizer, encoding="utf-8")


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
        each = shares(layout.taken(), self.encoder.pooling, torch.float32)
        positions = layout.unpack(left(layout.positions))
        return results(embedding, positions, Seen(layout.weights, spelling.chosen, each))
