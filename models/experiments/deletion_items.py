"""Inputs of the deletion experiment: the relevance of each part, and the vector of what is left.

Tokens are left out: those behind them move up, and special tokens stay. A patch cannot be left out, for the encoder
knows images of one size only; it is painted in the mean color of its image, which says nothing of what was there
and leaves the image as bright as it was.

Letters: n tokens or positions, m parts that can be deleted, v variants of an item, e width.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from einops import reduce
from torch import Tensor

from models.artifact.arrays import Ints, Pixels
from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.graph_inputs import pack
from models.artifact.specs import TextSpec
from models.artifact.tensors import Reduction
from models.attention import AttentionRecorder
from models.encoders.image import ImageEncoder
from models.packed import AttentionFunction, PackedLayout, eager_attention, sdpa_attention
from models.pooling import pooling_weights
from models.preprocess.text import TextPreprocessor
from models.pretrained.text import PretrainedTextEncoder
from models.relevance import AttentionReduction, reduce_attention
from models.train.evaluation import held_out_scenes

PROSE: Final = Path(__file__).with_name("prose.txt")
"""English texts of 7 to 130 words on many subjects, one per paragraph, written for this and chosen before any
measurement."""

LIMITS: Final = TextSpec(max_tokens=256, vocab_size=30_522, position_offset=0)

Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DeletionItem:
    """Item with the relevance of its parts. `embed` maps masks of kept parts, `[v, m]`, to embeddings `[v, e]`.

    `relevance` `[m]` of the parts, by reduction; `baseline` `[m]` ranks them without asking the model: a token by how
    rare it is (BERT's vocabulary lists frequent ones first, by and large), a patch by how far from the mean color.
    """

    relevance: dict[Reduction, Floats]
    baseline: Floats
    embed: Callable[[Masks], Tensor]

    @property
    def num_parts(self) -> int:
        return len(self.relevance["rollout"])


def text_items(model: Path, count: int) -> Iterator[DeletionItem]:
    """Yield the first `count` texts of `PROSE`, shortest first, with the mean-pooled BERT in `model`."""
    encoder = PretrainedTextEncoder(model, "bert", "mean")
    tokenize = TextPreprocessor((model / TOKENIZER_FILE).read_text(encoding="utf-8"), LIMITS)
    paragraphs = PROSE.read_text(encoding="utf-8").split("\n\n")
    for tokens in tokenize([" ".join(each.split()) for each in paragraphs[:count]]):
        yield _text_item(encoder, tokens.ids)


def image_items(encoder: ImageEncoder, count: int) -> Iterator[DeletionItem]:
    """Yield scenes that the encoder was not trained on, half of them with one object."""
    for scene in held_out_scenes(count, single_object_fraction=0.5, side_px=encoder.config.image_px):
        yield _image_item(encoder, scene.pixels)


def _text_item(encoder: PretrainedTextEncoder, ids: Ints) -> DeletionItem:
    def run(items: list[Ints], attention_function: AttentionFunction) -> tuple[Tensor, PackedLayout]:
        inputs = {name: torch.from_numpy(array) for name, array in pack(items).items()}
        layout = PackedLayout(inputs["pack_index"], inputs["unpack_index"], inputs["lengths"], attention_function)
        return encoder(inputs["input_ids"], inputs["position_ids"], layout), layout

    def embed(kept: Masks) -> Tensor:
        whole = np.pad(kept, ((0, 0), (1, 1)), constant_values=True)  # [CLS] and [SEP]
        vectors, _ = run([ids[row] for row in whole], sdpa_attention)
        return vectors

    _, layout = run([ids], eager_attention)
    seen = reduce_attention(layout.weights, pooling_weights(layout.token_mask(), encoder.pooling, torch.float32), 0)
    return DeletionItem(
        {reduction: _pooled_relevance(each)[1:-1] for reduction, each in seen.items()},
        ids[1:-1].astype(np.float64),
        embed,
    )


def _image_item(encoder: ImageEncoder, pixels: Pixels) -> DeletionItem:
    rows, columns = encoder.grid
    image = torch.from_numpy(pixels).float()
    color = image.mean(dim=(0, 1))

    def embed(kept: Masks) -> Tensor:
        cells = torch.from_numpy(kept).reshape(-1, rows, columns)
        seen = cells.repeat_interleave(encoder.height_px // rows, 1).repeat_interleave(encoder.width_px // columns, 2)
        vectors: Tensor = encoder(torch.where(seen[..., None], image, color))
        return vectors

    recorder = AttentionRecorder(record=True)
    encoder(image[None], recorder)
    found = reduce_attention(
        encoder.on_grid(recorder.weights), encoder.pooling_weights(recorder), encoder.num_prefix_tokens
    )
    color_distance = (
        reduce((image - color).square(), "(y p) (x q) rgb -> (y x)", "mean", y=rows, x=columns).double().numpy()
    )
    return DeletionItem(
        {reduction: _pooled_relevance(each) for reduction, each in found.items()}, color_distance, embed
    )


def _pooled_relevance(reduction: AttentionReduction) -> Floats:
    return np.asarray(reduction.pooled[0].double().numpy())
