"""What a corpus is for."""

from typing import Literal

Use = Literal["calibration", "gate"]
