"""What does it cost to skip near-zero weights (models/skipping.py)?

Measured on trained encoders: the default text model over English of three lengths, and scenes-vit over generated
scenes, where its weights are at hand. Share skipped: of all weights. Error of outputs: |out - exact| / |exact| of the
attention layers, each on the inputs that reached it. Error of embeddings: 1 - cosine with the exact embedding, which
is what a search sees.

Source: Ji et al., "On the Distribution, Sparsity, and Inference-time Quantization of Attention Values in
Transformers" (2021).
Letters: b items, e width.
"""

from collections.abc import Callable
from math import nan
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from models.contract.artifact import TOKENIZER_FILE
from models.contract.packing import pack
from models.contract.specs import TextSpec
from models.encoders.checkpoint import load as load_ours
from models.encoders.image import ImageEncoder
from models.experiments import style
from models.experiments.experiment import Experiment, Number, Result, Setting, table
from models.packed import Layout
from models.preprocess.text import TextPreprocessor
from models.pretrained.text import PretrainedTextEncoder
from models.scenes.description import draw_distinct
from models.scenes.rendering import render
from models.skipping import Skipping, SkippingObserver, skipping_spelling

THRESHOLDS = (0.0, 0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)
TOLD = (0.001, 0.01, 0.02, 0.05, 0.1, 1.0)
"""Those that the text tells of; at 1 one weight a row is left."""

ENGLISH = Path("LICENSE")
TOKENS = (16, 64, 256)
"""Lengths of the texts; 256 is what the default model was trained up to."""

WHOLE = TextSpec(max_tokens=100_000, vocabulary_size=30_522, position_offset=0)
"""All of `ENGLISH` at once, to be cut up afterwards."""

TEXTS, PICTURES = 32, 64

ROUNDING = 1e-8
"""Errors under this are not drawn."""

Embed = Callable[[Skipping], Tensor]
"""Embeddings `[b, e]` of the same items, with weights skipped as told."""


class AtThreshold(BaseModel):
    """What one threshold did. Embedding errors are of the mean item and of the worst."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Number
    share: Number
    output_error: Number
    embedding_error: Number
    worst_embedding_error: Number


class SkippingResult(Result):
    """What was embedded, by what was encoded."""

    encoded: dict[str, tuple[AtThreshold, ...]]


class SkippingCost(Experiment[SkippingResult]):
    name = "skipping"
    result = SkippingResult

    @override
    def measure(self, setting: Setting) -> SkippingResult:
        encoded = {f"text, {tokens} tokens": cost(_texts(setting, tokens)) for tokens in TOKENS}
        if setting.image_model is not None:
            encoder = load_ours(setting.image_model)
            if not isinstance(encoder, ImageEncoder):
                raise ValueError(f"{setting.image_model} holds no image encoder")
            cells = encoder.grid[0] * encoder.grid[1]
            encoded[f"picture, {cells} patches"] = cost(_pictures(encoder, setting.samples(PICTURES)))
        return SkippingResult(quick=setting.quick, encoded=encoded)

    @override
    def draw(self, result: SkippingResult) -> Figure:
        figure, axes = style.panels("Outputs of attention", "Embeddings", "How much a threshold skips")
        for (name, at), look in zip(result.encoded.items(), style.LOOKS, strict=False):
            share = [100 * each.share for each in at]
            axes[0].plot(share, [100 * each.output_error for each in at], label=name, **look)
            seen = [each.embedding_error if each.embedding_error > ROUNDING else nan for each in at]
            axes[1].plot(share, seen, label=name, **look)
            axes[2].plot([each.threshold for each in at], share, label=name, **look)
        _finish(axes)
        return figure

    @override
    def word(self, result: SkippingResult) -> str:
        head = ["encoded", "threshold", "skipped", "outputs moved by", "1 - cosine: mean, worst"]
        rows = [
            [
                name,
                f"{each.threshold:g}",
                f"{100 * each.share:.1f} %",
                f"{100 * each.output_error:.1f} %",
                f"{each.embedding_error:.2g}, {each.worst_embedding_error:.2g}",
            ]
            for name, at in result.encoded.items()
            for each in at
            if each.threshold in TOLD
        ]
        return table(head, rows)


def _finish(axes: list[Axes]) -> None:
    for each in axes[:2]:
        each.set(xlabel="weights skipped, %", xlim=(-2, 102))
        style.legend(each)
    axes[0].set_ylabel("change, % of the length")
    axes[1].set_yscale("log")
    axes[1].set(ylabel="1 - cosine with the exact one, mean", ylim=(ROUNDING, 2))
    axes[2].set_xscale("symlog", linthresh=1e-4, linscale=0.4)
    axes[2].set(xlabel="threshold", ylabel="weights skipped, %", xlim=(0, 1.2), ylim=(0, 102))
    axes[2].set_xticks([0, 1e-4, 1e-3, 1e-2, 1e-1, 1], ["0", "0.0001", "0.001", "0.01", "0.1", "1"])


@torch.no_grad()
def cost(embed: Embed) -> tuple[AtThreshold, ...]:
    """What each threshold does to what `embed` embeds."""
    exact = embed(Skipping(0.0)).double()
    found = []
    for threshold in THRESHOLDS:
        skipping = Skipping(threshold)
        away = (1 - functional.cosine_similarity(embed(skipping).double(), exact)).clamp(min=0)
        found.append(
            AtThreshold(
                threshold=threshold,
                share=skipping.share,
                output_error=skipping.output_error,
                embedding_error=away.mean().item(),
                worst_embedding_error=away.max().item(),
            )
        )
    return tuple(found)


def _texts(setting: Setting, tokens: int) -> Embed:
    """Stretches of English, each of so many tokens with the special ones."""
    encoder = PretrainedTextEncoder(setting.text_model, "bert", "mean")
    tokenize = TextPreprocessor((setting.text_model / TOKENIZER_FILE).read_text(encoding="utf-8"), WHOLE)
    whole = tokenize([ENGLISH.read_text(encoding="utf-8")])[0].ids
    first, inner, last = whole[:1], whole[1:-1], whole[-1:]
    starts = range(0, len(inner) - tokens, tokens - 2)[: setting.samples(TEXTS)]
    items = [np.concatenate([first, inner[start : start + tokens - 2], last]) for start in starts]
    inputs = {name: torch.from_numpy(array) for name, array in pack(items).items()}

    def embed(skipping: Skipping) -> Tensor:
        spelling = skipping_spelling(skipping)
        layout = Layout(inputs["pack_index"], inputs["unpack_index"], inputs["lengths"], spelling)
        vectors: Tensor = encoder(inputs["input_ids"], inputs["position_ids"], layout)
        return vectors

    return embed


def _pictures(encoder: ImageEncoder, count: int) -> Embed:
    """Scenes that the encoder was not trained on."""
    rng = np.random.default_rng(0)
    scenes = [render(each, rng, side_px=encoder.config.image_px) for each in draw_distinct(rng, count, "unseen")]
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes]))

    def embed(skipping: Skipping) -> Tensor:
        vectors: Tensor = encoder(pixels, SkippingObserver(skipping=skipping))
        return vectors

    return embed
