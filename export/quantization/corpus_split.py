"""What a corpus is for."""

from typing import Literal

CorpusSplit = Literal["calibration", "gate"]
