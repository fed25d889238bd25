"""Experiment: does deleting the most attended parts move the embedding further than deleting others?

Parts of an item (tokens, patches) are ranked by their pooled attention, and a share of them is deleted from the top,
from the bottom, or at random; or by a ranking that knows nothing of the model. *Movement* is 1 - cosine with the
whole item's embedding. What a choice moves the embedding *beyond random* is paired: within each item, less the mean
of the random draws of the same size.

Sources: Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned" (2017), who delete from
the top; Jain & Wallace, "Attention is not Explanation" (2019), on what follows from it and what does not.
Letters: n items, m parts, c shares, v variants of one item.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict
from torch.nn import functional
from typing_extensions import override

from models.artifact.tensors import REDUCTIONS
from models.encoders.checkpoint import load
from models.encoders.image import ImageEncoder
from models.experiments import style
from models.experiments.deletion_items import DeletionItem, Floats, Masks, image_items, text_items
from models.experiments.experiment import Experiment, ExperimentContext, Number, Result, table
from models.experiments.intervals import Interval, bootstrap_interval, column_intervals

FRACTIONS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
NUM_RANDOM_ORDERS: Final = 10
"""Random orders per item; in each, the first parts are deleted, up to each of FRACTIONS."""

NUM_TEXTS, NUM_IMAGES = 60, 200

RANDOM: Final = "random"
BASELINE: Final = "most without the model"
CHOICES: Final = (
    *(f"most by {reduction}" for reduction in REDUCTIONS),
    BASELINE,
    *(f"least by {reduction}" for reduction in REDUCTIONS),
)
PLOTTED_CHOICES: Final = (*(f"most by {reduction}" for reduction in REDUCTIONS), BASELINE, RANDOM, "least by rollout")
"""Choices shown in the plot."""

Displacement = dict[str, Floats]
"""Displacement by choice, `[n, c]`."""


class DeletionStatistics(BaseModel):
    """Results of each choice: `moved` and `beyond` random at each of `FRACTIONS`, `overall` beyond random over all of
    them.

    `oftener` is the share of items in which that is above 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int
    parts: tuple[int, int]
    moved: dict[str, tuple[Interval, ...]]
    beyond: dict[str, tuple[Interval, ...]]
    overall: dict[str, Interval]
    oftener: dict[str, Number]


class DeletionResult(Result):
    deleted: dict[str, DeletionStatistics]


class Deletion(Experiment[DeletionResult]):
    name = "deletion"
    result = DeletionResult

    @override
    def measure(self, context: ExperimentContext) -> DeletionResult:
        found = {"text": measure_deletion(text_items(context.text_model, context.samples(NUM_TEXTS)))}
        if context.image_model is not None:
            encoder = load(context.image_model)
            if not isinstance(encoder, ImageEncoder):
                raise ValueError(f"{context.image_model} holds no image encoder")
            found["image"] = measure_deletion(image_items(encoder, context.samples(NUM_IMAGES)))
        return DeletionResult(quick=context.quick, deleted=found)

    @override
    def draw(self, result: DeletionResult) -> Figure:
        figure, axes = style.panels(*(f"Deleted from each {name}" for name in result.deleted), width=5.2)
        percent = [100 * share for share in FRACTIONS]
        for panel, deleted in zip(axes, result.deleted.values(), strict=True):
            for choice, look in zip(PLOTTED_CHOICES, style.SERIES_STYLES, strict=False):
                means, lows, highs = zip(*((at.mean, at.low, at.high) for at in deleted.moved[choice]), strict=True)
                panel.plot(percent, means, label=choice, **look)
                panel.fill_between(percent, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
            panel.set(xlabel="deleted, % of the tokens or patches", ylabel="1 - cosine with the whole one's, mean")
            panel.set_ylim(0, 1)
        style.legend(axes[0])
        return figure

    @override
    def summarize(self, result: DeletionResult) -> str:
        return "\n\n".join(_summary(name, deleted) for name, deleted in result.deleted.items())


@torch.no_grad()
def measure_deletion(items: Iterable[DeletionItem]) -> DeletionStatistics:
    """Delete parts of every item by every choice, and measure how far the embedding moves."""
    found, parts = [], []
    for index, item in enumerate(items):
        parts.append(item.num_parts)
        found.append(_displacement(item, np.random.default_rng([0, index])))
    displacement: Displacement = {choice: np.stack([each[choice] for each in found]) for choice in (*CHOICES, RANDOM)}
    excess: Displacement = {choice: displacement[choice] - displacement[RANDOM] for choice in CHOICES}
    overall = {choice: each.mean(axis=1) for choice, each in excess.items()}
    return DeletionStatistics(
        items=len(found),
        parts=(min(parts), max(parts)),
        moved={choice: column_intervals(each) for choice, each in displacement.items()},
        beyond={choice: column_intervals(each) for choice, each in excess.items()},
        overall={choice: bootstrap_interval(each) for choice, each in overall.items()},
        oftener={choice: float((each > 0).mean()) for choice, each in overall.items()},
    )


def _displacement(item: DeletionItem, rng: np.random.Generator) -> Displacement:
    """Return the displacement of one item's embedding by choice, `[c]`; for random draws the mean."""
    ascending = [np.argsort(item.relevance[reduction], kind="stable") for reduction in REDUCTIONS]
    unlikely = np.argsort(item.baseline, kind="stable")
    drawn = [rng.permutation(item.num_parts) for _ in range(NUM_RANDOM_ORDERS)]
    orders = [*(order[::-1] for order in (*ascending, unlikely)), *ascending, *drawn]
    kept = np.concatenate([np.ones((1, item.num_parts), dtype=bool), *map(_kept_masks, orders)])
    whole, *rest = item.embed(kept).double().unbind()
    distances = (
        (1 - functional.cosine_similarity(torch.stack(rest), whole)).clamp(min=0).numpy().reshape(-1, len(FRACTIONS))
    )
    return {**dict(zip(CHOICES, distances, strict=False)), RANDOM: distances[len(CHOICES) :].mean(axis=0)}


def _kept_masks(order: npt.NDArray[np.int64]) -> Masks:
    """Return `[c, m]`: what remains when a fraction of `order` is deleted from its start, at least one part."""
    rank = np.argsort(order)
    counts = [max(1, round(share * len(order))) for share in FRACTIONS]
    return np.asarray(rank[None] >= np.array(counts)[:, None])


def _summary(name: str, deleted: DeletionStatistics) -> str:
    head = [
        f"deleted from each {name}",
        *(f"{100 * share:.0f} %" for share in FRACTIONS),
        "beyond random, over all shares",
        "shares above random",
        "items above random",
    ]
    rows = [
        [choice, *(f"{at.mean:.3f}" for at in moved), *_compare_with_random(deleted, choice)]
        for choice, moved in deleted.moved.items()
    ]
    fewest, most = deleted.parts
    parts = f"{fewest} to {most}" if fewest < most else f"{fewest}"
    return f"{deleted.items} items of {parts} parts each.\n\n{table(head, rows)}"


def _compare_with_random(deleted: DeletionStatistics, choice: str) -> list[str]:
    """Return the difference from random, the number of fractions with a positive interval, and the fraction of
    items."""
    if choice == RANDOM:
        return ["", "", ""]
    overall = deleted.overall[choice]
    sure = sum(at.low > 0 for at in deleted.beyond[choice])
    spelled = f"{overall.mean:+.3f} ({overall.low:+.3f} to {overall.high:+.3f})"
    return [spelled, f"{sure} of {len(FRACTIONS)}", f"{100 * deleted.oftener[choice]:.0f} %"]
