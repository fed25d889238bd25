"""Experiment: how far does the kernel that mixes positions move with the input, and is it ever negative?

    attention    out_i = sum_j softmax(q_i k_j) v_j    the kernel is a distribution that the input decides
    f(x) * x     out_i = sum_j f(x_i)_(j-i) x_j        the input decides it, of any sign: Li et al., "Involution" (2021)
    convolution  out_i = sum_j w_(j-i) x_j             any sign; the input has no part in it

Park & Kim, "How Do Vision Transformers Work?" (2022), call the first data-specific and the last data-agnostic. Asked
besides: whether attention's kernel depends on the query at all, or is one for the whole image, as Cao et al.,
"GCNet" (2019), section 3.2, found of non-local blocks.

Letters: b items, p kernels of one item, k weights of a kernel.
"""

from collections.abc import Callable
from statistics import fmean

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from typing_extensions import override

from models.encoders import registry
from models.encoders.image import ImageEncoder
from models.experiments import encoders, style, task
from models.experiments.comparison import compare
from models.experiments.convolutions import CONVOLUTION, DYNAMIC, NONLOCAL, RATES, TRANSFORMER, configs
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.kernels import attention_kernels, convolution_kernels, dynamic_kernels, movement

Reader = Callable[[ImageEncoder, Tensor], list[Tensor]]

KERNEL_READERS: dict[str, Reader] = {
    TRANSFORMER: attention_kernels,
    NONLOCAL: attention_kernels,
    DYNAMIC: dynamic_kernels,
    CONVOLUTION: convolution_kernels,
}
NUM_IMAGES = 64
EDGES = np.linspace(-1, 1, 81)


class Kernels(BaseModel):
    """Kernels of one kind of encoder: means over seeds, by layer where there are several figures.

    `moved` is `models.experiments.kernels.movement` over images, `moved_untrained` that of random weights, and
    `moved_by_query` over the positions of one image (a convolution has one kernel for all of them). `negative` is
    the share of weights under 0, zeros out of a convolution's reach left aside; `sums` the least and the largest sum of
    a kernel; `histogram` the share of weights between each two of `EDGES`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    moved: tuple[Number, ...]
    moved_untrained: tuple[Number, ...]
    moved_by_query: tuple[Number, ...]
    negative: Number
    sums: tuple[Number, Number]
    histogram: tuple[Number, ...]


class SpecificityResult(Result):
    kernels: dict[str, Kernels]


class Specificity(Experiment[SpecificityResult]):
    name = "specificity"
    result = SpecificityResult

    @override
    def measure(self, context: ExperimentContext) -> SpecificityResult:
        pixels, _ = task.labeled_scenes(context.samples(NUM_IMAGES), task.HELD_OUT_SEED)
        compared = {name: config for name, config in configs().items() if name in KERNEL_READERS}
        _, runs = compare(context.training_pool, compared, RATES)
        found = {}
        for name, read in KERNEL_READERS.items():
            torch.manual_seed(0)
            untrained = read(registry.build(runs[name][0].plan.config).eval(), pixels)
            found[name] = _kernels([read(run.encoder(), pixels) for run in runs[name]], untrained)
        return SpecificityResult(quick=context.quick, kernels=found)

    @override
    def draw(self, result: SpecificityResult) -> Figure:
        figure, (moved, weights) = style.panels("How far the kernel moves with the image", "Weights of the kernel")
        layers = range(1, encoders.LAYERS + 1)
        for (name, kernels), look in zip(result.kernels.items(), style.SERIES_STYLES, strict=False):
            moved.plot(layers, kernels.moved, label=name, **look)
            if name in (NONLOCAL, DYNAMIC):
                weights.stairs(kernels.histogram, EDGES, label=name, color=look["color"], linewidth=1.4)
        moved.set(xlabel="layer", xticks=layers, ylabel="movement, 0 to 1", ylim=(-0.03, 1.03))
        style.legend(moved, at=(0.2, 0.08))
        weights.axvline(0, **style.REFERENCE)
        weights.set_yscale("log")
        weights.set(xlabel="weight", ylabel="share of weights in a bin of 0.025")
        style.legend(weights)
        return figure

    @override
    def summarize(self, result: SpecificityResult) -> str:
        by_layer = [
            [name, *(" / ".join(f"{at:.2f}" for at in each) for each in (k.moved, k.moved_untrained, k.moved_by_query))]
            for name, k in result.kernels.items()
        ]
        signs = [
            [name, f"{100 * k.negative:.1f} %", f"{k.sums[0]:.3g} to {k.sums[1]:.3g}"]
            for name, k in result.kernels.items()
        ]
        head = [
            "kernel, layer by layer",
            "moved by the image",
            "the same, untrained",
            "moved by the position in one image",
        ]
        return f"{table(head, by_layer)}\n\n{table(['kernel', 'negative weights', 'sum of a kernel'], signs)}"


def _kernels(seeds: list[list[Tensor]], untrained: list[Tensor]) -> Kernels:
    """Summarize the kernels of all seeds; `seeds` holds each seed's layers `[b, p, k]`."""
    weights = torch.cat([layer[layer != 0] for layers in seeds for layer in layers])
    sums = torch.cat([layer.sum(dim=-1).flatten() for layers in seeds for layer in layers])
    counts, _ = np.histogram(weights.numpy(), EDGES)
    by_layer = list(zip(*seeds, strict=True))
    return Kernels(
        moved=tuple(fmean(map(movement, layer)) for layer in by_layer),
        moved_untrained=tuple(map(movement, untrained)),
        moved_by_query=tuple(fmean(_by_query(kernels) for kernels in layer) for layer in by_layer),
        negative=(weights < 0).float().mean().item(),
        sums=(sums.min().item(), sums.max().item()),
        histogram=tuple((counts / weights.numel()).tolist()),
    )


def _by_query(kernels: Tensor) -> float:
    """Return the `movement` between the kernels of one item, averaged over items: `[b, p, k]`."""
    return fmean(movement(item[:, None]) for item in kernels)
