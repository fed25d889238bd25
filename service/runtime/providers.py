"""Execution providers: selection, options, and verification of what a session uses.

ONNX Runtime falls back to the next provider, or to CPU, without an error; here a device requested by name must be used.
The reasons for each option are in docs/adr/0019-gpu.md.
"""

import ctypes
from typing import Final, Literal

import onnxruntime

from models.artifact.specs import Device, Precision

DRIVER_LIBRARY = "libcuda.so.1"


def require_cuda_driver() -> None:
    """Raise ProviderUnavailable if there is no driver, or it offers no GPU."""
    try:
        driver = ctypes.CDLL(DRIVER_LIBRARY)
    except OSError as error:
        raise ProviderUnavailable(
            f"a GPU was requested, but NVIDIA's driver ({DRIVER_LIBRARY}) was not found; containers need --gpus all"
        ) from error
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        raise ProviderUnavailable(f"a GPU was requested, but NVIDIA's driver reports none (CUDA error {code})")


CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"

DeviceOption = Literal["auto", "cpu", "cuda", "tensorrt"]
"""Device to run on. "auto" never selects TensorRT."""

EXPLICIT_PROVIDERS: Final[dict[str, str]] = {"cuda": CUDA, "tensorrt": TENSORRT}
"""Devices that are never replaced by another if they are missing."""

CUDA_OPTIONS: Final = {
    "use_tf32": "0",  # float32 artifacts are computed in float32; fp16 artifacts are faster
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all algorithms for each new batch size of images
    "arena_extend_strategy": "kSameAsRequested",  # the largest batch runs first, at warm-up, so the arena need not grow
}
TENSORRT_OPTIONS: Final = {
    # Its parser drops an Attention's `nonpad_kv_seqlen`, and so would attend to padding. Branches have no one shape.
    "trt_op_types_to_exclude": "Attention,If",
}
FP16_OPTIONS: Final = {
    "trt_fp16_enable": "1",
    "trt_layer_norm_fp32_fallback": "1",  # the artifact decides: its reductions are in float32
}


class ProviderUnavailable(RuntimeError):
    """The requested device is not available; the service must not start."""


def select_provider(device: DeviceOption, supported: tuple[Device, ...]) -> str:
    """Return the provider for a graph that can run on `supported`.

    "auto" takes CUDA where the installed ONNX Runtime offers it and the graph is for it, as one in 8 bits is not.
    Raises ProviderUnavailable for what cannot be had.
    """
    if device in EXPLICIT_PROVIDERS and "cuda" not in supported:
        raise ProviderUnavailable(
            f"device {device} was requested, but a model was exported for cpu only; use device auto"
        )
    if "cuda" not in supported or (device == "cpu" and "cpu" in supported):
        return CPU
    requested = EXPLICIT_PROVIDERS.get(device, CUDA)
    if device != "cpu" and requested in onnxruntime.get_available_providers():
        return requested
    if device in EXPLICIT_PROVIDERS:
        name = requested.removesuffix("ExecutionProvider")
        raise ProviderUnavailable(
            f"device {device} was requested, but the installed ONNX Runtime has no {name} provider"
        )
    if "cpu" not in supported:
        raise ProviderUnavailable("the model was exported for cuda only, which is not available; export it for cpu")
    return CPU


def provider_options(provider: str, precision: Precision) -> list[tuple[str, dict[str, str]]]:
    """Return the provider and its fallbacks, each with its options; CPU always comes last by itself."""
    fp16_options = FP16_OPTIONS if precision == "fp16" else {}
    options: dict[str, list[tuple[str, dict[str, str]]]] = {
        CPU: [(CPU, {})],
        CUDA: [(CUDA, CUDA_OPTIONS)],
        TENSORRT: [(TENSORRT, TENSORRT_OPTIONS | fp16_options), (CUDA, CUDA_OPTIONS)],
    }
    return options[provider]


def active_provider(session: onnxruntime.InferenceSession) -> str:
    """Return the first of the session's providers that runs part of its graph: being registered is not enough.

    The session has to have been opened with `session.record_ep_graph_assignment_info`.
    """
    assigned = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    active: str = next((name for name in session.get_providers() if name in assigned), CPU)
    return active


def verify_provider(actual: str, requested: str, device: DeviceOption, supported: tuple[Device, ...]) -> None:
    """Raise ProviderUnavailable if the requested device was not used, or the graph does not support the used one."""
    if device in EXPLICIT_PROVIDERS and actual != requested:
        raise ProviderUnavailable(f"device {device} was requested, but the session fell back to {actual}")
    if actual == CPU and "cpu" not in supported:
        raise ProviderUnavailable("the model was exported for cuda only, which failed; export it for cpu")
