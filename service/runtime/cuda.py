"""Check of NVIDIA's driver, which belongs to the host and comes into a container by `--gpus all`."""

import ctypes

from service.runtime.providers import ProviderUnavailable

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
