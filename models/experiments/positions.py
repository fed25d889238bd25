"""Experiment: what does attention know of order, and what does each kind of position add?

Without positions attention sees a set. Two laws, for any permutation P:

    f(P x) = P f(x)                         permuting the input permutes the output, and changes nothing else
    attend(q, P k, P v) = attend(q, k, v)   permuting keys with their values changes nothing at all

Source: Lee et al., "Set Transformer" (2019), section 3, property 1; the kinds are those of
models/layers/position_embedding.py. Letters: b items, h heads, s positions, k keys, d width of one head, e width, y, x
rows and columns in px.
"""

from statistics import fmean
from typing import get_args

import torch
from einops import rearrange
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from typing_extensions import override

from models.attention import AttentionRecorder, attend
from models.encoders.image import ImageEncoder
from models.experiments import encoders, style, task
from models.experiments.comparison import Comparison, accuracy_table, compare, compare_sentence, draw_curves
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.training import TrainedEncoder, accuracy
from models.layers.position_embedding import Position
from models.layers.self_attention import SelfAttention

KINDS: tuple[Position, ...] = get_args(Position)
LABELS = {kind: "no position" if kind == "none" else kind for kind in KINDS}
NUM_IMAGES = 1_000


class ShuffledPatches(BaseModel):
    """Results of trained encoders on images with permuted patches, over seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    moved: Number
    """|f(P x) - f(x)| / |f(x)|, over the vectors of all images."""

    accuracy: Number


class PositionsResult(Result):
    """Results on positions. The laws are the largest deviations, in float64, from what is 0 in theory."""

    comparison: Comparison
    equivariance: Number
    key_value_invariance: Number
    shuffled: dict[str, ShuffledPatches]


class PositionsExperiment(Experiment[PositionsResult]):
    name = "positions"
    result = PositionsResult

    @override
    def measure(self, context: ExperimentContext) -> PositionsResult:
        comparison, runs = compare(context.training_pool, {LABELS[kind]: encoders.vit(position=kind) for kind in KINDS})
        pixels, classes = task.labeled_scenes(context.samples(NUM_IMAGES), task.HELD_OUT_SEED)
        return PositionsResult(
            quick=context.quick,
            comparison=comparison,
            equivariance=equivariance(),
            key_value_invariance=key_value_invariance(),
            shuffled={name: _measure_shuffled(trained, pixels, classes) for name, trained in runs.items()},
        )

    @override
    def draw(self, result: PositionsResult) -> Figure:
        figure, (curves, moved) = style.panels("What is learned", "What permuting the patches does")
        draw_curves(curves, result.comparison)
        names = list(result.shuffled)
        colors = [look["color"] for look in style.SERIES_STYLES[: len(names)]]
        bars = moved.bar(names, [shuffled.moved for shuffled in result.shuffled.values()], color=colors, width=0.6)
        moved.bar_label(bars, fmt="%.2g", padding=2)
        moved.set_yscale("log")
        moved.set(ylim=(1e-8, 50), ylabel="change of the vector, share of its length")
        moved.grid(visible=False, axis="x")
        return figure

    @override
    def summarize(self, result: PositionsResult) -> str:
        laws = (
            f"Largest deviations from the laws, in float64: {result.equivariance:.0e} from f(P x) = P f(x), "
            f"{result.key_value_invariance:.0e} from attend(q, P k, P v) = attend(q, k, v)."
        )
        rows = [
            [name, f"{shuffled.moved:.2g}", f"{100 * learned.accuracy.mean:.1f} %", f"{100 * shuffled.accuracy:.1f} %"]
            for (name, shuffled), learned in zip(
                result.shuffled.items(), result.comparison.learned.values(), strict=True
            )
        ]
        head = ["position", "change of the vector", "accuracy, patches in place", "accuracy, patches permuted"]
        others = [LABELS[kind] for kind in KINDS if kind != "none"]
        pairs = [(name, LABELS["none"]) for name in others] + [("learned", "sinusoidal"), ("learned", "relative")]
        sentences = " ".join(compare_sentence(result.comparison, *pair) for pair in pairs)
        return f"{laws}\n\n{accuracy_table(result.comparison)}\n\n{sentences}\n\n{table(head, rows)}"


@torch.no_grad()
def equivariance() -> float:
    """Return the largest |f(P x) - P f(x)| of self-attention without position, for every projection and score."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 24, generator=generator, dtype=torch.float64)
    order = torch.randperm(16, generator=generator)
    worst = 0.0
    for projection in ("separate", "shared", "none"):
        for score in ("dot", "cosine"):
            layer = SelfAttention(24, 3, projection=projection, score=score).double()
            moved = layer(x[:, order], AttentionRecorder()) - layer(x, AttentionRecorder())[:, order]
            worst = max(worst, moved.abs().max().item())
    return worst


def key_value_invariance() -> float:
    """Return the largest |attend(q, P k, P v) - attend(q, k, v)|."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, s, 8, generator=generator, dtype=torch.float64) for s in (5, 16, 16))
    order = torch.randperm(16, generator=generator)
    moved = attend(q, k[:, :, order], v[:, :, order])[0] - attend(q, k, v)[0]
    return moved.abs().max().item()


def shuffle_patches(pixels: Tensor) -> Tensor:
    """Permute the patches of pixels `[b, y, x, 3]`, with one order for all images."""
    side = task.IMAGE_PX // encoders.CELL_PX
    patches = rearrange(pixels, "b (y p) (x q) c -> b (y x) p q c", y=side, x=side)
    order = torch.randperm(side**2, generator=torch.Generator().manual_seed(0))
    return rearrange(patches[:, order], "b (y x) p q c -> b (y p) (x q) c", y=side, x=side)


@torch.no_grad()
def displacement(encoder: ImageEncoder, pixels: Tensor) -> float:
    """Return how far permuted patches move the embeddings, relative to their length."""
    vectors = encoder(pixels)
    change: Tensor = (encoder(shuffle_patches(pixels)) - vectors).norm() / vectors.norm()
    return change.item()


def _measure_shuffled(runs: list[TrainedEncoder], pixels: Tensor, classes: Tensor) -> ShuffledPatches:
    found = [run.encoder() for run in runs]
    return ShuffledPatches(
        moved=fmean(displacement(encoder, pixels) for encoder in found),
        accuracy=fmean(accuracy(encoder, shuffle_patches(pixels), classes) for encoder in found),
    )
