"""Options of an export: everything but its source and its name."""

from dataclasses import dataclass

from export.errors import OptionError
from models.artifact.specs import Device, Modality, Pooling, Precision, Task

DEVICES: dict[Precision, tuple[Device, ...]] = {"fp32": ("cpu", "cuda"), "fp16": ("cuda",), "int8": ("cpu",)}
"""Devices on which a precision is faster: float16 has no fast kernels on CPU, int8 products have none on CUDA."""


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export; None leaves a choice to the source or the device.

    `modality` chooses a tower of a source that has two. `space` names the vectors that these can be compared with.
    `allow_lossy` seals what a gate of `export.parity` would refuse. `task` insists on one: on embeddings, say, where
    the source was trained with a head.
    """

    modality: Modality | None = None
    precision: Precision | None = None
    device: Device | None = None
    pooling: Pooling | None = None
    normalize: bool | None = None
    max_tokens: int | None = None
    space: str | None = None
    allow_lossy: bool = False
    task: Task | None = None

    def chosen_precision(self) -> Precision:
        """Return the given precision, else fp16 on CUDA and fp32 elsewhere. Raises OptionError if the device lacks
        it."""
        precision = self.precision or ("fp16" if self.device == "cuda" else "fp32")
        if self.device and self.device not in DEVICES[precision]:
            raise OptionError(f"precision {precision} requires {' or '.join(DEVICES[precision])}, not {self.device}")
        return precision

    def devices(self) -> tuple[Device, ...]:
        """Devices that the artifact may run on."""
        return (self.device,) if self.device else DEVICES[self.chosen_precision()]
