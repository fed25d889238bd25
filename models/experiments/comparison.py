"""Comparison of trained encoders: accuracy with its spread over seeds, parameters, arithmetic.

Where the ranges of two encoders' seeds overlap, no difference is claimed. Of two equal encoders with three seeds each,
ranges lie apart once in ten times by chance.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import torch
from matplotlib.axes import Axes
from pydantic import BaseModel, ConfigDict
from torch.utils.flop_counter import FlopCounterMode

from models.attention import AttentionRecorder
from models.encoders import registry
from models.encoders.image import ImageConfig, ImageEncoder
from models.experiments import style, task
from models.experiments.experiment import Number, table
from models.experiments.training import LEARNING_RATE, TrainedEncoder, TrainingPlan, TrainingPool, steps_measured

TOLERANCE = 0.02
"""Largest relative difference of parameter counts that counts as equal."""


class SeedStatistics(BaseModel):
    """Statistics of one figure over seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    each: tuple[Number, ...]

    @property
    def mean(self) -> float:
        return fmean(self.each)

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % ({100 * min(self.each):.1f} to {100 * max(self.each):.1f})"

    def is_above(self, other: "SeedStatistics") -> bool:
        """Return whether every seed of one is above every seed of the other."""
        return min(self.each) > max(other.each)


class TrainingOutcome(BaseModel):
    """Results of one encoder. `curves` holds each seed's accuracy at `Comparison.steps`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int
    rate: Number
    megaflops: Number
    curves: tuple[tuple[Number, ...], ...]

    @property
    def accuracy(self) -> SeedStatistics:
        return SeedStatistics(each=tuple(curve[-1] for curve in self.curves))


class Comparison(BaseModel):
    """Results of all encoders, after the same number of steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[int, ...]
    learned: dict[str, TrainingOutcome]


def compare(
    training_pool: TrainingPool, configs: Mapping[str, ImageConfig], rates: Sequence[float] = (LEARNING_RATE,)
) -> tuple[Comparison, dict[str, list[TrainedEncoder]]]:
    """Train each config at every seed, with the learning rate that was better at the first seed."""
    trials = training_pool.train([TrainingPlan(config, rate=rate) for config in configs.values() for rate in rates])
    plans: list[TrainingPlan] = []
    for config in configs.values():
        best = max((trial for trial in trials if trial.plan.config == config), key=_final_accuracy)
        plans += [TrainingPlan(config, seed, best.plan.rate) for seed in range(training_pool.budget.seeds)]
    trained = training_pool.train(plans)
    runs = {name: [run for run in trained if run.plan.config == config] for name, config in configs.items()}
    learned = {name: _training_outcome(each) for name, each in runs.items()}
    return Comparison(steps=tuple(steps_measured(training_pool.budget)), learned=learned), runs


def count_parameters(config: ImageConfig) -> int:
    return sum(each.numel() for each in registry.build(config).parameters())


def matched_config(make: Callable[[int], ImageConfig], target: int, widths: Sequence[int]) -> ImageConfig:
    """Return the config, among those of `widths`, with the number of parameters nearest to `target`. Raises ValueError
    beyond 2 %."""
    nearest = min(map(make, widths), key=lambda config: abs(count_parameters(config) - target))
    if abs(count_parameters(nearest) / target - 1) > TOLERANCE:
        raise ValueError(f"no width gives {target} parameters; the nearest has {count_parameters(nearest)}")
    return nearest


def _final_accuracy(run: TrainedEncoder) -> float:
    return run.accuracies[-1]


def _training_outcome(runs: list[TrainedEncoder]) -> TrainingOutcome:
    plan = runs[0].plan
    return TrainingOutcome(
        parameters=count_parameters(plan.config),
        rate=plan.rate,
        megaflops=_flops(registry.build(plan.config)) / 1e6,
        curves=tuple(run.accuracies for run in runs),
    )


@torch.no_grad()
def _flops(encoder: ImageEncoder) -> int:
    """Count the operations for one image; attention is recorded, since the counter does not know the CPU's fused
    attention."""
    with FlopCounterMode(display=False) as counter:
        encoder(torch.zeros(1, task.IMAGE_PX, task.IMAGE_PX, 3), AttentionRecorder(record=True))
    return int(counter.get_total_flops())


def draw_curves(axes: Axes, comparison: Comparison, *, legend_at: tuple[float, float] | None = None) -> None:
    """Plot accuracy against steps: the mean over seeds, and the range from the worst to the best."""
    for (name, learned), look in zip(comparison.learned.items(), style.SERIES_STYLES, strict=False):
        seeds = list(zip(*learned.curves, strict=True))
        axes.plot(comparison.steps, [100 * fmean(at) for at in seeds], label=name, **look)
        low, high = ([100 * pick(at) for at in seeds] for pick in (min, max))
        axes.fill_between(comparison.steps, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.axhline(100 * task.CHANCE_ACCURACY, **style.REFERENCE)
    axes.set(xlabel="training steps", ylabel="accuracy on held-out scenes, %", ylim=(0, 100))
    style.legend(axes, at=legend_at)


def accuracy_table(comparison: Comparison) -> str:
    rows = [
        [name, f"{learned.parameters:,}", f"{learned.megaflops:.1f}", f"{learned.rate:g}", str(learned.accuracy)]
        for name, learned in comparison.learned.items()
    ]
    return table(["encoder", "parameters", "MFLOP per image", "learning rate", "accuracy: mean (least to most)"], rows)


def compare_sentence(comparison: Comparison, first: str, second: str) -> str:
    """Say in one sentence whether two encoders differ."""
    a, b = (comparison.learned[name].accuracy for name in (first, second))
    if a.is_above(b) or b.is_above(a):
        better, worse = (first, second) if a.is_above(b) else (second, first)
        return f"*{better}* ended above *{worse}* at every seed, by {100 * abs(a.mean - b.mean):.1f} points on average."
    return f"The seeds of *{first}* and *{second}* overlap: no difference is claimed."
