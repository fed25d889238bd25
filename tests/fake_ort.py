"""Fake of ONNX Runtime for GPUs: sessions compute on CPU and report what a GPU's would."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from service.runtime import providers
from service.runtime.session import DISABLED_CPU_OPTIMIZERS

Chain = list[tuple[str, dict[str, str]]]


class GpuRuntime:
    """What sessions were opened with; they fail on providers that are `failing_providers`, and put all of a graph on
    `assigned_provider`."""

    def __init__(self, assigned_provider: str | None = None, failing_providers: Sequence[str] = ()) -> None:
        self.provider_chains: list[Chain] = []
        self.fallback_flags: list[int] = []
        self.disabled_optimizers: list[Sequence[str]] = []
        self.assigned_provider = assigned_provider
        self.failing_providers = failing_providers

    def create_session(
        self, path: Path, options: Any, *, providers: Chain, enable_fallback: int, disabled_optimizers: Sequence[str]
    ) -> "GpuSession":
        """In place of `onnxruntime.InferenceSession`."""
        self.provider_chains.append(providers)
        self.fallback_flags.append(enable_fallback)
        self.disabled_optimizers.append(disabled_optimizers)
        if providers[0][0] in self.failing_providers:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return GpuSession(path, options, providers, self.assigned_provider or providers[0][0])

    def install(self, patch: pytest.MonkeyPatch) -> "GpuRuntime":
        patch.setattr(onnxruntime, "InferenceSession", self.create_session)
        patch.setattr(
            onnxruntime, "get_available_providers", lambda: [providers.TENSORRT, providers.CUDA, providers.CPU]
        )
        return self


class GpuSession(onnxruntime.InferenceSession):  # type: ignore[misc]
    def __init__(self, path: Path, options: Any, chain: Chain, assigned_provider: str) -> None:
        # Fused as on CPU, whatever was asked for: what it computes is compared number by number.
        super().__init__(path, options, providers=[providers.CPU], disabled_optimizers=DISABLED_CPU_OPTIMIZERS)
        self._provider_names = [name for name, _ in chain]
        self._assigned_provider = assigned_provider

    def get_providers(self) -> list[str]:
        return list(dict.fromkeys([*self._provider_names, providers.CPU]))

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [SimpleNamespace(ep_name=self._assigned_provider)]
