"""Splits of a corpus."""

from typing import Literal

CorpusSplit = Literal["calibration", "gate"]
