"""Does deleting what is attended to move the embedding further than deleting anything else?

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

from models.contract.tensors import REDUCTIONS
from models.encoders.checkpoint import load
from models.encoders.image import ImageEncoder
from models.experiments import style
from models.experiments.deleting import Floats, Item, Masks, pictures, texts
from models.experiments.experiment import Experiment, Number, Result, Setting, table
from models.experiments.intervals import Interval, by_column, interval

SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
DRAWS: Final = 10
"""Random orders an item, in each of which the first so many are deleted."""

TEXTS, PICTURES = 60, 200

RANDOM: Final = "random"
UNLIKELY: Final = "most without the model"
CHOICES: Final = (
    *(f"most by {reduction}" for reduction in REDUCTIONS),
    UNLIKELY,
    *(f"least by {reduction}" for reduction in REDUCTIONS),
)
DRAWN: Final = (*(f"most by {reduction}" for reduction in REDUCTIONS), UNLIKELY, RANDOM, "least by rollout")
"""Those that the plot shows."""

Moved = dict[str, Floats]
"""Of each choice, `[n, c]`."""


class Deleted(BaseModel):
    """What each choice did: `moved` and `beyond` random at each of `SHARES`, `overall` beyond random over all of them.

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
    deleted: dict[str, Deleted]


class Deletion(Experiment[DeletionResult]):
    name = "deletion"
    result = DeletionResult

    @override
    def measure(self, setting: Setting) -> DeletionResult:
        found = {"text": delete(texts(setting.text_model, setting.samples(TEXTS)))}
        if setting.image_model is not None:
            encoder = load(setting.image_model)
            if not isinstance(encoder, ImageEncoder):
                raise ValueError(f"{setting.image_model} holds no image encoder")
            found["picture"] = delete(pictures(encoder, setting.samples(PICTURES)))
        return DeletionResult(quick=setting.quick, deleted=found)

    @override
    def draw(self, result: DeletionResult) -> Figure:
        figure, axes = style.panels(*(f"Deleted of a {name}" for name in result.deleted), width=5.2)
        percent = [100 * share for share in SHARES]
        for panel, deleted in zip(axes, result.deleted.values(), strict=True):
            for choice, look in zip(DRAWN, style.LOOKS, strict=False):
                means, lows, highs = zip(*((at.mean, at.low, at.high) for at in deleted.moved[choice]), strict=True)
                panel.plot(percent, means, label=choice, **look)
                panel.fill_between(percent, lows, highs, color=look["color"], alpha=0.12, linewidth=0)
            panel.set(xlabel="deleted, % of the tokens or patches", ylabel="1 - cosine with the whole one's, mean")
            panel.set_ylim(0, 1)
        style.legend(axes[0])
        return figure

    @override
    def word(self, result: DeletionResult) -> str:
        return "\n\n".join(_told(name, deleted) for name, deleted in result.deleted.items())


@torch.no_grad()
def delete(items: Iterable[Item]) -> Deleted:
    """Delete by every choice from every item."""
    found, parts = [], []
    for index, item in enumerate(items):
        parts.append(item.parts)
        found.append(_moved(item, np.random.default_rng([0, index])))
    moved: Moved = {choice: np.stack([each[choice] for each in found]) for choice in (*CHOICES, RANDOM)}
    beyond: Moved = {choice: moved[choice] - moved[RANDOM] for choice in CHOICES}
    overall = {choice: each.mean(axis=1) for choice, each in beyond.items()}
    return Deleted(
        items=len(found),
        parts=(min(parts), max(parts)),
        moved={choice: by_column(each) for choice, each in moved.items()},
        beyond={choice: by_column(each) for choice, each in beyond.items()},
        overall={choice: interval(each) for choice, each in overall.items()},
        oftener={choice: float((each > 0).mean()) for choice, each in overall.items()},
    )


def _moved(item: Item, rng: np.random.Generator) -> Moved:
    """Of one item, by choice: `[c]`, of random draws the mean."""
    ascending = [np.argsort(item.relevance[reduction], kind="stable") for reduction in REDUCTIONS]
    unlikely = np.argsort(item.unlikely, kind="stable")
    drawn = [rng.permutation(item.parts) for _ in range(DRAWS)]
    orders = [*(order[::-1] for order in (*ascending, unlikely)), *ascending, *drawn]
    kept = np.concatenate([np.ones((1, item.parts), dtype=bool), *map(_kept, orders)])
    whole, *rest = item.embed(kept).double().unbind()
    away = (1 - functional.cosine_similarity(torch.stack(rest), whole)).clamp(min=0).numpy().reshape(-1, len(SHARES))
    return {**dict(zip(CHOICES, away, strict=False)), RANDOM: away[len(CHOICES) :].mean(axis=0)}


def _kept(order: npt.NDArray[np.int64]) -> Masks:
    """[c, m]: what is left when a share of `order` is deleted from its start, at least one part."""
    rank = np.argsort(order)
    counts = [max(1, round(share * len(order))) for share in SHARES]
    return np.asarray(rank[None] >= np.array(counts)[:, None])


def _told(name: str, deleted: Deleted) -> str:
    head = [
        f"deleted of a {name}",
        *(f"{100 * share:.0f} %" for share in SHARES),
        "beyond random, over all shares",
        "at so many shares",
        "in so many items",
    ]
    rows = [
        [choice, *(f"{at.mean:.3f}" for at in moved), *_against_random(deleted, choice)]
        for choice, moved in deleted.moved.items()
    ]
    least, most = deleted.parts
    parts = f"{least} to {most}" if least < most else f"{least}"
    return f"{deleted.items} items of {parts} parts each.\n\n{table(head, rows)}"


def _against_random(deleted: Deleted, choice: str) -> list[str]:
    """How far beyond random, at how many shares by its interval, and in which share of the items."""
    if choice == RANDOM:
        return ["", "", ""]
    overall = deleted.overall[choice]
    sure = sum(at.low > 0 for at in deleted.beyond[choice])
    spelled = f"{overall.mean:+.3f} ({overall.low:+.3f} to {overall.high:+.3f})"
    return [spelled, f"{sure} of {len(SHARES)}", f"{100 * deleted.oftener[choice]:.0f} %"]
