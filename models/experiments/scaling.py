"""Experiment: what does dividing the scores by sqrt(d) do?

The score of independent q and k of unit variance has variance d. Divided by sqrt(d) it has variance 1 at any width;
undivided, softmax is pushed to where one key takes all and the gradient is small: Vaswani et al. (2017),
section 3.2.1, footnote 4.

Letters: r rows (queries), n keys, d width.
"""

import torch
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from typing_extensions import override

from models.attention import attention_weights
from models.experiments import style
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.recording import normalized_entropy

WIDTHS = tuple(2**power for power in range(11))
KEYS = 64
ROWS = 2_000
DOMINANT_WEIGHT = 0.99


class WidthStatistics(BaseModel):
    """Means over rows at one width, and the medians of the gradients.

    `score_gradient` is the norm of the gradient by the scores, `query_gradient` by the query, of a weighted sum of the
    weights with random coefficients; `taken` is the share of rows in which one key has more than 0.99.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variance: Number
    entropy: Number
    taken: Number
    score_gradient: Number
    score_gradient_median: Number
    query_gradient: Number
    query_gradient_median: Number


class ScalingResult(Result):
    widths: tuple[int, ...]
    scaled: tuple[WidthStatistics, ...]
    unscaled: tuple[WidthStatistics, ...]


class Scaling(Experiment[ScalingResult]):
    name = "scaling"
    result = ScalingResult

    @override
    def measure(self, context: ExperimentContext) -> ScalingResult:
        rows = ROWS // 10 if context.quick else ROWS
        return ScalingResult(
            quick=context.quick,
            widths=WIDTHS,
            scaled=tuple(measure_width(width, rows, width**-0.5) for width in WIDTHS),
            unscaled=tuple(measure_width(width, rows, 1.0) for width in WIDTHS),
        )

    @override
    def draw(self, result: ScalingResult) -> Figure:
        figure, (spread, gradient) = style.panels("How even attention is", "How large the gradient is")
        both = {"scaled": result.scaled, "unscaled": result.unscaled}
        for (name, each), look in zip(both.items(), style.SERIES_STYLES, strict=False):
            spread.plot(result.widths, [at.entropy for at in each], label=name, **look)
            gradient.plot(result.widths, [at.score_gradient for at in each], label=f"{name}, mean", **look)
            median = look | {"linestyle": ":", "markerfacecolor": "white"}
            gradient.plot(result.widths, [at.score_gradient_median for at in each], label=f"{name}, median", **median)
        for axes in (spread, gradient):
            axes.set_xscale("log", base=2)
            axes.set_xlabel("width of a head, d")
            style.legend(axes)
        spread.set(ylabel="entropy, share of log n", ylim=(0, 1.05))
        gradient.set_yscale("log")
        gradient.set_ylabel("norm of the gradient by the scores")
        return figure

    @override
    def summarize(self, result: ScalingResult) -> str:
        head = ["d", "scores", "variance", "entropy", f"one key > {DOMINANT_WEIGHT}",
                "gradient by scores: mean, median", "gradient by q: mean, median"]  # fmt: skip
        rows = []
        for width, scaled, unscaled in zip(result.widths, result.scaled, result.unscaled, strict=True):
            if width in (1, 16, 64, 256, 1024):
                rows += [_row(width, "scaled", scaled), _row(width, "unscaled", unscaled)]
        return table(head, rows)


def measure_width(width: int, rows: int, scale: float) -> WidthStatistics:
    """Attend with `rows` random queries, each to its own random keys."""
    generator = torch.Generator().manual_seed(width)
    q = torch.randn(rows, 1, 1, width, generator=generator, requires_grad=True)
    k = torch.randn(rows, 1, KEYS, width, generator=generator)
    coefficients = torch.randn(rows, 1, 1, KEYS, generator=generator)
    weights = attention_weights(q, k, scale=scale)
    (query_gradient,) = torch.autograd.grad((weights * coefficients).sum(), q)
    weights = weights.detach()
    # Softmax's own derivative: p * (g - p . g)
    score_gradient = weights * (coefficients - (weights * coefficients).sum(dim=-1, keepdim=True))
    by_scores, by_query = (gradient.norm(dim=-1).flatten() for gradient in (score_gradient, query_gradient))
    return WidthStatistics(
        variance=_mean((q.detach() @ k.transpose(-1, -2) * scale).square()),
        entropy=_mean(normalized_entropy(weights)),
        taken=_mean((weights.amax(dim=-1) > DOMINANT_WEIGHT).float()),
        score_gradient=_mean(by_scores),
        score_gradient_median=by_scores.median().item(),
        query_gradient=_mean(by_query),
        query_gradient_median=by_query.median().item(),
    )


def _mean(values: Tensor) -> float:
    return values.mean().item()


def _row(width: int, name: str, at: WidthStatistics) -> list[str]:
    return [
        str(width),
        name,
        f"{at.variance:.2f}",
        f"{at.entropy:.3f}",
        f"{100 * at.taken:.1f} %",
        f"{at.score_gradient:.3f}, {at.score_gradient_median:.2g}",
        f"{at.query_gradient:.2f}, {at.query_gradient_median:.2g}",
    ]
