"""Experiment: attention or convolution, at equal parameters and equal steps?

Encoders of models/encoders/feature_map_encoders.py, which differ in nothing but how a block mixes positions, and the
vision transformer, which knows positions and has patches in place of a convolutional stem. Widths are chosen so that
the counts of parameters are within 2 % of the transformer's, and each learns at the better of two rates.

Source: the frame is that of Yu et al., "MetaFormer Is Actually What You Need for Vision" (2022); the question that of
Park & Kim, "How Do Vision Transformers Work?" (2022).
"""

from itertools import pairwise

from matplotlib.figure import Figure
from typing_extensions import override

from models.encoders.image import ImageConfig
from models.experiments import encoders, style
from models.experiments.comparison import (
    Comparison,
    accuracy_table,
    compare,
    compare_sentence,
    count_parameters,
    draw_curves,
    matched_config,
)
from models.experiments.experiment import Experiment, ExperimentContext, Result
from models.experiments.training import LEARNING_RATE

TRANSFORMER = "attention, learned positions (vit)"
NONLOCAL = "attention, no positions (nonlocal)"
DYNAMIC = "f(x) * x, 5 x 5 (dynamic-conv)"
CONVOLUTION = "convolution, 3 x 3 (conv)"
WIDE_CONVOLUTION = "convolution, 5 x 5 (conv)"


RATES = (LEARNING_RATE, 3 * LEARNING_RATE)
"""Learning rates, the better of which counts per encoder: what suits attention need not suit a convolution."""


def configs() -> dict[str, ImageConfig]:
    """Return the compared encoders, of equal size."""
    transformer = encoders.vit()
    target = count_parameters(transformer)
    widths = encoders.WIDTHS
    return {
        TRANSFORMER: transformer,
        NONLOCAL: matched_config(encoders.nonlocal_, target, widths[::2]),
        DYNAMIC: matched_config(lambda width: encoders.dynamic_conv(width, kernel=5), target, widths[::8]),
        CONVOLUTION: matched_config(lambda width: encoders.conv(width, kernel=3), target, widths),
        WIDE_CONVOLUTION: matched_config(lambda width: encoders.conv(width, kernel=5), target, widths),
    }


class ConvolutionsResult(Result):
    comparison: Comparison


class Convolutions(Experiment[ConvolutionsResult]):
    name = "convolutions"
    result = ConvolutionsResult

    @override
    def measure(self, context: ExperimentContext) -> ConvolutionsResult:
        comparison, _ = compare(context.training_pool, configs(), RATES)
        return ConvolutionsResult(quick=context.quick, comparison=comparison)

    @override
    def draw(self, result: ConvolutionsResult) -> Figure:
        figure, (axes,) = style.panels("What is learned at equal parameters and steps", width=7.2)
        draw_curves(axes, result.comparison, legend_at=(1.02, 0.3))
        return figure

    @override
    def summarize(self, result: ConvolutionsResult) -> str:
        ranked = sorted(result.comparison.learned, key=lambda name: -result.comparison.learned[name].accuracy.mean)
        sentences = " ".join(compare_sentence(result.comparison, *pair) for pair in pairwise(ranked))
        return f"{accuracy_table(result.comparison)}\n\n{sentences}"
