"""Experiment: what is left of attention over a map of one position?

softmax over one key is 1 whatever the score: out = W_o W_v x, a linear map. Query, key and bias have no part in it
and get no gradient. It happens in practice: a convolutional encoder that halves its map until one cell is left.

Letters: b items, c channels, y, x rows and columns of the map, s = y*x.
"""

from itertools import product
from typing import get_args

import torch
from matplotlib.figure import Figure
from typing_extensions import override

from models.attention import AttentionRecorder
from models.encoders.alternet import AlterNetConfig
from models.encoders.registry import build
from models.experiments import style
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.recording import own_weight
from models.layers.map_attention import MapAttention, MapAttentionPlan
from models.layers.projection import Projection
from models.layers.self_attention import ScoreKind

SIDES = (1, 2, 3, 4, 6, 8, 12, 16)
CHANNELS = 32
MAPS = 16
GAIN = 8.0
"""Factor of weights that must not matter: with it, attention over more cells is far from even."""


class OneCellResult(Result):
    """Results on one cell. `own` is the mean weight on oneself over a map of each side, for random features and new
    projections."""

    largest_deviation: Number
    """Largest deviation from a weight of 1, on one cell, over projections, scores, heads, biases and weights of any
    size."""

    sides: tuple[int, ...]
    own: dict[Projection, tuple[Number, ...]]
    idle: int
    """Number of parameters of AlterNet-18's last attention without gradient from images of 32 px."""

    of: int
    """Number of all parameters of that attention."""

    idle_at_64_px: int


class OneCell(Experiment[OneCellResult]):
    name = "one_cell"
    result = OneCellResult

    @override
    def measure(self, context: ExperimentContext) -> OneCellResult:
        maps = context.samples(MAPS)
        idle, of = idle_parameters(32)
        return OneCellResult(
            quick=context.quick,
            largest_deviation=largest_deviation(),
            sides=SIDES,
            own={kind: tuple(_mean_own_weight(kind, side, maps) for side in SIDES) for kind in get_args(Projection)},
            idle=idle,
            of=of,
            idle_at_64_px=idle_parameters(64)[0],
        )

    @override
    def draw(self, result: OneCellResult) -> Figure:
        figure, (axes,) = style.panels("What a cell takes from itself")
        for (kind, own), look in zip(result.own.items(), style.SERIES_STYLES, strict=False):
            axes.plot(result.sides, own, label=kind, **look)
        even = [1 / side**2 for side in result.sides]
        axes.plot(result.sides, even, label="even attention", zorder=3, **style.REFERENCE)
        axes.set_xscale("log", base=2)
        axes.set_xticks(result.sides, map(str, result.sides))
        axes.set_xticks([], minor=True)
        axes.set_yscale("log")
        axes.set(xlabel="rows and columns of the map", ylabel="weight on oneself, mean", ylim=(2e-3, 1.4))
        style.legend(axes, at=(0.02, 0.02), title="projection")
        return figure

    @override
    def summarize(self, result: OneCellResult) -> str:
        head = ["cells", *(f"{side} x {side}" for side in result.sides)]
        rows = [[kind, *(f"{weight:.3f}" for weight in own)] for kind, own in result.own.items()]
        return (
            f"Largest deviation from a weight of 1 on one cell: {result.largest_deviation:g}. Fed images of 32 px, "
            f"AlterNet-18 ends on one cell: {result.idle:,} of the {result.of:,} parameters of its last attention get "
            f"no gradient; at 64 px (2 x 2 cells), {result.idle_at_64_px:,}.\n\n{table(head, rows)}"
        )


@torch.no_grad()
def largest_deviation() -> float:
    """Return the largest |weight - 1| over one position."""
    worst = 0.0
    choices = product(get_args(Projection), get_args(ScoreKind), (1, 4), (False, True))
    for projection, score, heads, relative in choices:
        torch.manual_seed(0)
        plan = MapAttentionPlan(CHANNELS, (1, 1), heads, projection=projection, score=score, relative=relative)
        attention = MapAttention(plan)
        for parameter in attention.parameters():
            parameter.copy_(torch.randn(parameter.shape) * GAIN)
        recorder = AttentionRecorder(record=True)
        attention(torch.randn(4, CHANNELS, 1, 1) * GAIN, recorder)
        worst = max(worst, (recorder.weights[0] - 1).abs().max().item())
    return worst


@torch.no_grad()
def _mean_own_weight(kind: Projection, side: int, maps: int) -> float:
    torch.manual_seed(0)
    attention = MapAttention(MapAttentionPlan(CHANNELS, (side, side), projection=kind))
    recorder = AttentionRecorder(record=True)
    attention(torch.randn(maps, CHANNELS, side, side), recorder)
    return own_weight(recorder.weights[0])


def idle_parameters(image_px: int) -> tuple[int, int]:
    """Count the parameters of AlterNet-18's last attention with a gradient of exactly 0, and all of them."""
    torch.manual_seed(0)
    last = image_px // 32
    encoder = build(AlterNetConfig(image_px=image_px, windows=(8 * last, 4 * last, 2 * last, last)))
    encoder(torch.rand(4, image_px, image_px, 3) * 255, AttentionRecorder(record=True)).square().sum().backward()
    attention = [module for module in encoder.modules() if isinstance(module, MapAttention)][-1]
    gradients = [each.grad for each in attention.parameters() if each.grad is not None]
    return sum(int((each == 0).sum()) for each in gradients), sum(each.numel() for each in attention.parameters())
