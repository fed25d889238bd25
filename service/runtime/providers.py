"""Execution providers: which one is wanted, and which one a session really got.

ONNX Runtime falls back to CPU without an error; here that is an error when CUDA was asked for by name.
"""

from typing import Literal

import onnxruntime

from models.contract.manifest import Device

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

PROVIDERS: dict[Device, str] = {"cpu": CPU, "cuda": CUDA}


class ProviderUnavailable(RuntimeError):
    """The device that was asked for is not there; the service must not start."""


def choose(device: Literal["auto", "cpu", "cuda"], supported: tuple[Device, ...]) -> str:
    """The provider for a graph that can run on `supported`.

    "auto" takes CUDA where the installed ONNX Runtime offers it and the graph is for it. A graph that is for CPU alone
    runs there whatever was asked for, and is reported so. Raises ProviderUnavailable for what cannot be had.
    """
    if "cuda" not in supported or (device == "cpu" and "cpu" in supported):
        return CPU
    if device != "cpu" and CUDA in onnxruntime.get_available_providers():
        return CUDA
    if device == "cuda":
        raise ProviderUnavailable("device cuda was asked for, but the installed ONNX Runtime has no CUDA provider")
    if "cpu" not in supported:
        raise ProviderUnavailable("the model was exported for cuda alone, which is not there; export it for cpu")
    return CPU


def got(
    wanted: str,
    session: onnxruntime.InferenceSession,
    device: Literal["auto", "cpu", "cuda"],
    supported: tuple[Device, ...],
) -> str:
    """The provider that `session` runs on.

    Raises ProviderUnavailable if CUDA was asked for and not got, or the graph is not for what was got.
    """
    found: str = session.get_providers()[0]
    if device == "cuda" and found != wanted:
        raise ProviderUnavailable(f"device cuda was asked for, but the session fell back to {found}")
    if found == CPU and "cpu" not in supported:
        raise ProviderUnavailable("the model was exported for cuda alone, which failed; export it for cpu")
    return found
