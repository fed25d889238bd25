"""Registry of experiments by name, in the order of docs/explanation/attention.md."""

from typing import Any, Final

from models.experiments.attention_pruning import AttentionPruning
from models.experiments.convolutions import Convolutions
from models.experiments.deletion import Deletion
from models.experiments.experiment import Experiment
from models.experiments.one_cell import OneCell
from models.experiments.positions import PositionsExperiment
from models.experiments.projections import Projections
from models.experiments.scaling import Scaling
from models.experiments.scores import Scores
from models.experiments.specificity import Specificity

_ALL: Final[tuple[Experiment[Any], ...]] = (
    Projections(),
    Scores(),
    Scaling(),
    PositionsExperiment(),
    Specificity(),
    OneCell(),
    Convolutions(),
    AttentionPruning(),
    Deletion(),
)

EXPERIMENTS: Final = {experiment.name: experiment for experiment in _ALL}
