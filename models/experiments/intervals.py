"""Confidence interval of a mean over inputs: the percentile bootstrap.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3.
Letters: n items.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from models.experiments.experiment import Number

RESAMPLES: Final = 10_000
CONFIDENCE: Final = 0.95


class Interval(BaseModel):
    """Mean and its bootstrap interval: `CONFIDENCE` of the means of resampled items lie in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: Number
    low: Number
    high: Number


def bootstrap_interval(values: npt.NDArray[np.float64]) -> Interval:
    """Compute the interval of one value per item, `[n]`, with the same draws each time."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))


def column_intervals(values: npt.NDArray[np.float64]) -> tuple[Interval, ...]:
    """Compute the interval of each column of `[n, c]`."""
    columns: Sequence[npt.NDArray[np.float64]] = list(values.T)
    return tuple(map(bootstrap_interval, columns))
