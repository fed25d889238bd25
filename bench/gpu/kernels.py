"""Kernel of the attention, from ONNX Runtime's verbose log: neither the operator nor the profile names it.

`python -m bench.gpu.kernels ARTIFACT DEVICE` runs one batch with that log on, in its own process, because the log is
written below Python and for the whole process.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import onnxruntime

from bench.gpu.accuracy import random_inputs
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.providers import DeviceOption

FLASH = "Flash Attention"

LENGTHS = (128, 128, 96, 5)

_KERNEL_LINE = re.compile(r"Attention: using (.+?)(?: \(|$)", re.MULTILINE)


def count_kernels(artifact: Path, device: DeviceOption) -> dict[str, int]:
    """Count the attention operators of one batch by the kernel that computed them. Empty on CPU."""
    command = [sys.executable, "-m", "bench.gpu.kernels", str(artifact), device]
    return parse_log(subprocess.run(command, check=True, capture_output=True, text=True).stderr)  # noqa: S603  # our own


def parse_log(log: str) -> dict[str, int]:
    """Count the kernels that a log mentions, by name."""
    return dict(Counter(_KERNEL_LINE.findall(log)))


def main() -> None:
    artifact, device = Path(sys.argv[1]), next(name for name in get_args(DeviceOption) if name == sys.argv[2])
    encoder = open_encoder(artifact, device=device)
    assert isinstance(encoder, TextEncoder), "a text model is required"
    batch = random_inputs(encoder, LENGTHS)
    onnxruntime.set_default_logger_severity(0)
    encoder.run(batch)


if __name__ == "__main__":
    main()
