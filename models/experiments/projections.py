"""Experiment: do query, key and value need projections of their own (`separate`), one (`shared`), or none (`none`)?

    separate  q = x W_q, k = x W_k, v = x W_v    Vaswani et al. (2017), section 3.2.2
    shared    q = k = v = x W                    scores x W W^T x^T: symmetric, and one's own is |q|^2
    none      q = k = v = x                      scores x x^T: likewise

Compared at the same width, where fewer projections are fewer parameters, and again with the width raised until the
parameters are as many.

Letters: b items, h heads, s positions.
"""

from statistics import fmean

from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from typing_extensions import override

from models.encoders.image import ImageConfig
from models.experiments import encoders, style, task
from models.experiments.comparison import (
    Comparison,
    accuracy_table,
    compare,
    compare_sentence,
    count_parameters,
    draw_curves,
    matched_config,
)
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.recording import own_weight, record_scores
from models.experiments.training import TrainedEncoder
from models.layers.projection import Projection

KINDS: tuple[Projection, ...] = ("separate", "shared", "none")
NUM_IMAGES = 64


class ScoreStatistics(BaseModel):
    """Statistics of trained encoders by layer. `asymmetry` is |S - S^T| / |S|; `own` is the weight on oneself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asymmetry: tuple[Number, ...]
    own: tuple[Number, ...]


class ProjectionsResult(Result):
    comparison: Comparison
    scores: dict[Projection, ScoreStatistics]
    even: Number
    """Weight on oneself of even attention."""


class Projections(Experiment[ProjectionsResult]):
    name = "projections"
    result = ProjectionsResult

    @override
    def measure(self, context: ExperimentContext) -> ProjectionsResult:
        comparison, runs = compare(context.training_pool, _configs())
        pixels, _ = task.labeled_scenes(context.samples(NUM_IMAGES), task.HELD_OUT_SEED)
        positions = (task.IMAGE_PX // encoders.CELL_PX) ** 2 + 1
        return ProjectionsResult(
            quick=context.quick,
            comparison=comparison,
            scores={kind: _scores(runs[kind], pixels) for kind in KINDS},
            even=1 / positions,
        )

    @override
    def draw(self, result: ProjectionsResult) -> Figure:
        figure, (curves, own) = style.panels("What is learned", "What a position takes from itself")
        draw_curves(curves, result.comparison)
        layers = range(1, encoders.LAYERS + 1)
        for (kind, scores), look in zip(result.scores.items(), style.SERIES_STYLES, strict=False):
            own.plot(layers, scores.own, label=kind, **look)
        own.axhline(result.even, label="even attention", **style.REFERENCE)
        own.set(xlabel="layer", xticks=layers, ylabel="weight on oneself, mean", ylim=(0, None))
        style.legend(own, at=(0.6, 0.35))
        return figure

    @override
    def summarize(self, result: ProjectionsResult) -> str:
        rows = [
            [kind, " / ".join(f"{a:.2f}" for a in scores.asymmetry), " / ".join(f"{o:.3f}" for o in scores.own)]
            for kind, scores in result.scores.items()
        ]
        head = ["projection", "asymmetry of the scores, layer by layer", "weight on oneself, layer by layer"]
        others = [name for name in result.comparison.learned if name != "separate"]
        sentences = " ".join(compare_sentence(result.comparison, "separate", name) for name in others)
        even = f"Even attention would give {result.even:.3f} to oneself."
        return f"{accuracy_table(result.comparison)}\n\n{sentences}\n\n{table(head, rows)}\n\n{even}"


def _configs() -> dict[str, ImageConfig]:
    same: dict[str, ImageConfig] = {kind: encoders.vit(projection=kind) for kind in KINDS}
    target = count_parameters(same["separate"])
    wider: dict[str, ImageConfig] = {f"{kind}, wider": _wider(kind, target) for kind in KINDS if kind != "separate"}
    return same | wider


def _wider(kind: Projection, target: int) -> ImageConfig:
    return matched_config(lambda width: encoders.vit(width, projection=kind), target, encoders.WIDTHS[::2])


def _scores(runs: list[TrainedEncoder], pixels: Tensor) -> ScoreStatistics:
    """Return the mean over seeds."""
    seen = [record_scores(run.encoder(), pixels) for run in runs]
    layers = range(len(seen[0].scores))
    return ScoreStatistics(
        asymmetry=tuple(fmean(_asymmetry(each.scores[layer]) for each in seen) for layer in layers),
        own=tuple(fmean(own_weight(each.weights[layer]) for each in seen) for layer in layers),
    )


def _asymmetry(scores: Tensor) -> float:
    """Return the asymmetry of `[b, h, s, s]`: 0 if any two positions score each other alike."""
    away: Tensor = (scores - scores.transpose(-1, -2)).norm() / scores.norm()
    return away.item()
