"""Experiment: cosine or scaled dot product?

    dot     softmax(q k^T / sqrt(d))              Vaswani et al. (2017), section 3.2.1
    cosine  softmax(t q k^T / (|q| |k|))          Liu et al., "Swin Transformer V2" (2022), section 3.3; t is learned

A cosine is blind to how long q and k are, and lies in -1 to 1: over n keys no weight can pass
1 / (1 + (n - 1) exp(-2 t)).

Letters: b items, h heads, s positions, d width of one head.
"""

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor
from typing_extensions import override

from models.attention import attention_weights
from models.experiments import encoders, style
from models.experiments.comparison import Comparison, accuracy_table, compare, compare_sentence, draw_curves
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.recording import normalized_entropy
from models.experiments.training import TrainedEncoder
from models.layers.self_attention import INITIAL_SCALE, AttentionScore, ScoreKind

KINDS: tuple[ScoreKind, ...] = ("dot", "cosine")
LENGTHS = tuple(2.0**power for power in range(-3, 5))
"""Factors of q and k of unit variance."""

HEADS, POSITIONS, HEAD_WIDTH = 4, 64, 32


class ScoresResult(Result):
    """Results on scores. `entropies` are those of random q and k of growing length, over log n."""

    comparison: Comparison
    lengths: tuple[Number, ...]
    entropies: dict[ScoreKind, tuple[Number, ...]]
    scales: tuple[Number, ...]
    """Learned scales: the smallest and the largest over all layers, heads and seeds."""


class Scores(Experiment[ScoresResult]):
    name = "scores"
    result = ScoresResult

    @override
    def measure(self, context: ExperimentContext) -> ScoresResult:
        comparison, runs = compare(context.training_pool, {kind: encoders.vit(score=kind) for kind in KINDS})
        learned = torch.cat([_scales(run) for run in runs["cosine"]])
        return ScoresResult(
            quick=context.quick,
            comparison=comparison,
            lengths=LENGTHS,
            entropies={kind: tuple(mean_entropy(kind, length) for length in LENGTHS) for kind in KINDS},
            scales=(learned.min().item(), learned.max().item()),
        )

    @override
    def draw(self, result: ScoresResult) -> Figure:
        figure, (curves, lengths) = style.panels("What is learned", "What longer features do")
        draw_curves(curves, result.comparison)
        for (kind, entropies), look in zip(result.entropies.items(), style.SERIES_STYLES, strict=False):
            lengths.plot(result.lengths, entropies, label=kind, **look)
        lengths.set_xscale("log", base=2)
        lengths.set(xlabel="q and k multiplied by", ylabel="entropy, share of log n", ylim=(0, 1.05))
        style.legend(lengths)
        return figure

    @override
    def summarize(self, result: ScoresResult) -> str:
        head = ["q and k multiplied by", *(f"{length:g}" for length in result.lengths)]
        rows = [[f"entropy, {kind}", *(f"{e:.3f}" for e in each)] for kind, each in result.entropies.items()]
        low, high = result.scales
        learned = (
            f"Scales start at {INITIAL_SCALE:g}; learned, they lie between {low:.1f} and {high:.1f}, where a "
            f"weight over {POSITIONS} keys may still come within {1 - max_cosine_weight(low, POSITIONS):.0e} of 1: "
            "the bound does not bind."
        )
        sentence = compare_sentence(result.comparison, *KINDS)
        return f"{accuracy_table(result.comparison)}\n\n{sentence} {learned}\n\n{table(head, rows)}"


def random_weights(kind: ScoreKind, length: float) -> Tensor:
    """Return the weights `[1, h, s, s]` of random q and k of that length, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, HEADS, POSITIONS, HEAD_WIDTH, generator=generator) * length for _ in range(2))
    with torch.no_grad():
        return attention_weights(*AttentionScore(HEADS, kind)(q, k))


def mean_entropy(kind: ScoreKind, length: float) -> float:
    return normalized_entropy(random_weights(kind, length)).mean().item()


def max_cosine_weight(scale: float, keys: int) -> float:
    """Return the largest weight that a softmax of cosines can give to one key, all others being opposite."""
    return 1 / (1 + (keys - 1) * math.exp(-2 * scale))


def _scales(run: TrainedEncoder) -> Tensor:
    found = [value for name, value in run.encoder().state_dict().items() if name.endswith("log_scale")]
    return torch.cat([value.flatten() for value in found]).exp()
