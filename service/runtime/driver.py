"""NVIDIA's driver, which no package brings: it is the host's, and comes into a container by `--gpus all`."""

import ctypes

from service.runtime.providers import ProviderUnavailable

LIBRARY = "libcuda.so.1"


def check() -> None:
    """Raises ProviderUnavailable where the driver is not there, or offers no GPU."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise ProviderUnavailable(
            f"a GPU was asked for, but NVIDIA's driver ({LIBRARY}) is not here; a container gets it by --gpus all"
        ) from error
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        raise ProviderUnavailable(f"a GPU was asked for, but NVIDIA's driver offers none (CUDA error {code})")
