"""Experiment: what does it cost to prune near-zero weights (models/attention_pruning.py)?

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

from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.graph_inputs import pack
from models.artifact.specs import TextSpec
from models.attention_pruning import PruningRecorder, ThresholdPruning, pruned_attention
from models.encoders.checkpoint import load as load_ours
from models.encoders.image import ImageEncoder
from models.experiments import style
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.packed import PackedLayout
from models.preprocess.text import TextPreprocessor
from models.pretrained.text import PretrainedTextEncoder
from models.scenes.description import draw_descriptions
from models.scenes.rendering import render_scene

THRESHOLDS = (0.0, 0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)
REPORTED_THRESHOLDS = (0.001, 0.01, 0.02, 0.05, 0.1, 1.0)
"""Thresholds in the table of docs/explanation/attention.md; at 1 one weight per row remains."""

ENGLISH = Path("LICENSE")
TOKENS = (16, 64, 256)
"""Lengths of the texts; 256 is what the default model was trained up to."""

UNTRUNCATED = TextSpec(max_tokens=100_000, vocab_size=30_522, position_offset=0)
"""Tokenizer limit that fits all of `ENGLISH`, which is cut afterwards."""

NUM_TEXTS, NUM_IMAGES = 32, 64

MIN_PLOTTED_ERROR = 1e-8
"""Smallest error that is plotted."""

Embed = Callable[[ThresholdPruning], Tensor]
"""Returns embeddings `[b, e]` of the same items, with attention weights pruned as given."""


class ThresholdStatistics(BaseModel):
    """Effect of one threshold. Embedding errors are those of the mean item and of the worst."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Number
    share: Number
    output_error: Number
    embedding_error: Number
    worst_embedding_error: Number


class AttentionPruningResult(Result):
    """Results for everything that was embedded, by encoder."""

    encoded: dict[str, tuple[ThresholdStatistics, ...]]


class AttentionPruning(Experiment[AttentionPruningResult]):
    name = "pruning"
    result = AttentionPruningResult

    @override
    def measure(self, context: ExperimentContext) -> AttentionPruningResult:
        encoded = {f"text, {tokens} tokens": measure_cost(_texts(context, tokens)) for tokens in TOKENS}
        if context.image_model is not None:
            encoder = load_ours(context.image_model)
            if not isinstance(encoder, ImageEncoder):
                raise ValueError(f"{context.image_model} holds no image encoder")
            num_patches = encoder.grid[0] * encoder.grid[1]
            encoded[f"image, {num_patches} patches"] = measure_cost(_images(encoder, context.samples(NUM_IMAGES)))
        return AttentionPruningResult(quick=context.quick, encoded=encoded)

    @override
    def draw(self, result: AttentionPruningResult) -> Figure:
        figure, axes = style.panels("Outputs of attention", "Embeddings", "How much a threshold skips")
        for (name, at), look in zip(result.encoded.items(), style.SERIES_STYLES, strict=False):
            share = [100 * each.share for each in at]
            axes[0].plot(share, [100 * each.output_error for each in at], label=name, **look)
            seen = [each.embedding_error if each.embedding_error > MIN_PLOTTED_ERROR else nan for each in at]
            axes[1].plot(share, seen, label=name, **look)
            axes[2].plot([each.threshold for each in at], share, label=name, **look)
        _format_axes(axes)
        return figure

    @override
    def summarize(self, result: AttentionPruningResult) -> str:
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
            if each.threshold in REPORTED_THRESHOLDS
        ]
        return table(head, rows)


def _format_axes(axes: list[Axes]) -> None:
    for each in axes[:2]:
        each.set(xlabel="weights skipped, %", xlim=(-2, 102))
        style.legend(each)
    axes[0].set_ylabel("change, % of the length")
    axes[1].set_yscale("log")
    axes[1].set(ylabel="1 - cosine with the exact one, mean", ylim=(MIN_PLOTTED_ERROR, 2))
    axes[2].set_xscale("symlog", linthresh=1e-4, linscale=0.4)
    axes[2].set(xlabel="threshold", ylabel="weights skipped, %", xlim=(0, 1.2), ylim=(0, 102))
    axes[2].set_xticks([0, 1e-4, 1e-3, 1e-2, 1e-1, 1], ["0", "0.0001", "0.001", "0.01", "0.1", "1"])


@torch.no_grad()
def measure_cost(embed: Embed) -> tuple[ThresholdStatistics, ...]:
    """Return the effect of each threshold on what `embed` embeds."""
    exact = embed(ThresholdPruning(0.0)).double()
    rows = []
    for threshold in THRESHOLDS:
        pruning = ThresholdPruning(threshold)
        distances = (1 - functional.cosine_similarity(embed(pruning).double(), exact)).clamp(min=0)
        rows.append(
            ThresholdStatistics(
                threshold=threshold,
                share=pruning.pruned_fraction,
                output_error=pruning.output_error,
                embedding_error=distances.mean().item(),
                worst_embedding_error=distances.max().item(),
            )
        )
    return tuple(rows)


def _texts(context: ExperimentContext, tokens: int) -> Embed:
    """Return an `Embed` over passages of English of `tokens` tokens each, special tokens included."""
    encoder = PretrainedTextEncoder(context.text_model, "bert", "mean")
    tokenize = TextPreprocessor((context.text_model / TOKENIZER_FILE).read_text(encoding="utf-8"), UNTRUNCATED)
    whole = tokenize([ENGLISH.read_text(encoding="utf-8")])[0].ids
    first, inner, last = whole[:1], whole[1:-1], whole[-1:]
    starts = range(0, len(inner) - tokens, tokens - 2)[: context.samples(NUM_TEXTS)]
    items = [np.concatenate([first, inner[start : start + tokens - 2], last]) for start in starts]
    inputs = {name: torch.from_numpy(array) for name, array in pack(items).items()}

    def embed(pruning: ThresholdPruning) -> Tensor:
        attention_function = pruned_attention(pruning)
        layout = PackedLayout(inputs["pack_index"], inputs["unpack_index"], inputs["lengths"], attention_function)
        vectors: Tensor = encoder(inputs["input_ids"], inputs["position_ids"], layout)
        return vectors

    return embed


def _images(encoder: ImageEncoder, count: int) -> Embed:
    """Return an `Embed` over scenes that the encoder was not trained on."""
    rng = np.random.default_rng(0)
    scenes = [
        render_scene(each, rng, side_px=encoder.config.image_px) for each in draw_descriptions(rng, count, "unseen")
    ]
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes]))

    def embed(pruning: ThresholdPruning) -> Tensor:
        vectors: Tensor = encoder(pixels, PruningRecorder(pruning=pruning))
        return vectors

    return embed
