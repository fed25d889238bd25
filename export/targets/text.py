"""Text target: token ids in packed batches.

Letters: b items, t tokens of all items, s longest item, k heads that are asked for, e width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from export.onnx_attention import OnnxPackedAttention
from export.targets.base import Axes, ExportTarget, GraphInputs, Item, ModelInfo, as_tensors
from export.targets.graph_outputs import CapturedAttention, graph_outputs, require_token_embeddings
from export.targets.reference import ReferenceModel
from models.artifact import tensors
from models.artifact.arrays import Ints
from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.graph_inputs import pack
from models.artifact.specs import AttentionSpec, TextSpec
from models.packed import PackedEncoder, PackedLayout, sdpa_attention
from models.pooling import pooling_weights
from models.preprocess.text import TextPreprocessor
from models.synthetic_corpus import CorpusSplit, generate_pairs, generate_texts

MAX_COMPARED_TOKENS = 512
"""Tokens of the longest item in the comparison: with explicit weights in float64, longer ones take gigabytes."""

NUM_TEXTS: dict[CorpusSplit, int] = {"calibration": 150, "gate": 320}


@dataclass(frozen=True, kw_only=True)
class TextModelInfo(ModelInfo):
    """`tokenizer` is the text of its tokenizer.json."""

    tokenizer: str
    text: TextSpec
    attention: AttentionSpec


class TextTarget(ExportTarget[PackedEncoder]):
    """A packed encoder, the token ids of each text an item."""

    modality = "text"

    def __init__(
        self, info: TextModelInfo, load: Callable[[], PackedEncoder], reference: Callable[[torch.dtype], ReferenceModel]
    ) -> None:
        super().__init__(info, load, reference)
        self.text = self._text_spec = info.text
        self.attention = info.attention
        self._tokenizer = info.tokenizer
        self.axes: Axes = dict.fromkeys(("input_ids", "position_ids", "pack_index"), ("t",)) | {
            "unpack_index": ("b", "s"),
            "lengths": ("b",),
            tensors.HEAD_INDICES: ("k",),
        }
        if info.text.token_types:
            self.axes[tensors.TOKEN_TYPE_IDS] = ("t",)

    @override
    def module(self) -> nn.Module:
        return _TextGraph(self._encoder)

    @override
    def graph_inputs(self, items: Sequence[Item]) -> GraphInputs:
        return {**pack(items, position_offset=self._text_spec.position_offset)}

    @override
    def dummy_inputs(self) -> list[Item]:
        rng = np.random.default_rng(0)
        return [
            self._with_types(
                np.arange(min(n, self._text_spec.max_tokens), dtype=np.int64) % self._text_spec.vocab_size, rng
            )
            for n in (12, 5, 20)
        ]

    @override
    def validation_batches(self, rng: np.random.Generator) -> Iterator[list[Item]]:
        """1 to 16 items of 1 to `max_tokens` tokens, of ids from the whole vocabulary."""
        max_tokens = min(self._text_spec.max_tokens, MAX_COMPARED_TOKENS)
        for lengths in ([1], [3], [min(200, max_tokens), 1, 64], [max_tokens], [7] * 7, rng.integers(1, 65, 16)):
            min_tokens = 1 if self._text_spec.padding_id is None else max_tokens
            yield [
                self._with_types(
                    rng.integers(0, self._text_spec.vocab_size, min(max(int(n), min_tokens), max_tokens)), rng
                )
                for n in lengths
            ]

    def _with_types(self, ids: Ints, rng: np.random.Generator) -> Ints:
        """Add token types, of a pair split anywhere, for an encoder that embeds them."""
        if self._text_spec.token_types is None:
            return ids
        return np.stack([ids, (np.arange(len(ids)) >= rng.integers(0, len(ids) + 1)).astype(np.int64)])

    @override
    def run_with(self, encoder: nn.Module, items: Sequence[Item]) -> Tensor:
        inputs = as_tensors(self.graph_inputs(items))
        layout = PackedLayout(
            inputs["pack_index"],
            inputs["unpack_index"],
            inputs["lengths"],
            sdpa_attention,
            token_type_ids=inputs.get(tensors.TOKEN_TYPE_IDS),
        )
        outputs: Tensor = encoder(inputs["input_ids"], inputs["position_ids"], layout)
        return outputs

    @override
    def corpus(self, split: CorpusSplit) -> list[Item]:
        tokenize = TextPreprocessor(self._tokenizer, self._text_spec)
        texts = generate_texts(NUM_TEXTS[split], split)
        return [text.data for text in tokenize(generate_pairs(texts) if self.task == "rerank" else texts)]

    @override
    def copy_files(self, staging_dir: Path) -> None:
        (staging_dir / TOKENIZER_FILE).write_text(self._tokenizer, encoding="utf-8")


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
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        attention_function = OnnxPackedAttention(heads)
        layout = PackedLayout(pack_index, unpack_index, lengths, attention_function, token_type_ids=token_type_ids)
        output = self.encoder(input_ids, position_ids, layout)
        pooling = pooling_weights(layout.taken(), self.encoder.pooling, torch.float32)
        positions = layout.unpack(require_token_embeddings(layout.token_embeddings))
        return graph_outputs(
            output,
            positions,
            CapturedAttention(layout.weights, attention_function.head_weights, pooling),
            layout.sparse_tokens,
        )
