"""Tests of the CUDA driver: missing, without a GPU, and with one."""

import ctypes
import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from service.__main__ import main
from service.runtime import providers


class Driver:
    """What it answers to the two questions, and how many GPUs it says there are."""

    def __init__(self, code: int, gpus: int) -> None:
        self._code, self._gpus = code, gpus

    def cuInit(self, flags: int) -> int:  # noqa: N802
        assert flags == 0
        return self._code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self._gpus
        return 0


@pytest.mark.parametrize(("code", "gpus"), [(100, 0), (35, 4), (0, 0)])
def test_cuda_driver_without_gpu_is_rejected(code: int, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", {providers.DRIVER_LIBRARY: Driver(code, gpus)}.__getitem__)
    with pytest.raises(providers.ProviderUnavailable, match=rf"reports none \(CUDA error {code}\)"):
        providers.require_cuda_driver()


def test_cuda_driver_with_gpu_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", {providers.DRIVER_LIBRARY: Driver(0, 1)}.__getitem__)
    providers.require_cuda_driver()


def test_missing_cuda_driver_fails_at_startup(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADLIGHT_MODELS", json.dumps([str(tiny)]))
    monkeypatch.setenv("HEADLIGHT_DEVICE", "cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CUDA, providers.CPU])
    monkeypatch.setattr(providers, "DRIVER_LIBRARY", "libnowhere.so.1")
    assert main(["--port", "0"]) == 1
    stderr = capsys.readouterr().err
    expected = "cannot start: model tiny: a GPU was requested, but NVIDIA's driver (libnowhere.so.1) was not found"
    assert stderr.startswith(expected)
    assert len(stderr.splitlines()) == 1
