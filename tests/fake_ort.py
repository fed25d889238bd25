"""A GPU's ONNX Runtime without a GPU: sessions that compute on CPU and say what one on a GPU would."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from service.runtime import providers
from service.runtime.session import FUSIONS_SLOWER_ON_CPU

Chain = list[tuple[str, dict[str, str]]]


class GpuRuntime:
    """What sessions were opened with; they fail on providers that are `broken`, and put all of a graph on `at_work`."""

    def __init__(self, at_work: str | None = None, broken: Sequence[str] = ()) -> None:
        self.opened: list[Chain] = []
        self.fallback: list[int] = []
        self.left_out: list[Sequence[str]] = []
        self.at_work = at_work
        self.broken = broken

    def session(
        self, path: Path, options: Any, *, providers: Chain, enable_fallback: int, disabled_optimizers: Sequence[str]
    ) -> "GpuSession":
        """In place of `onnxruntime.InferenceSession`."""
        self.opened.append(providers)
        self.fallback.append(enable_fallback)
        self.left_out.append(disabled_optimizers)
        if providers[0][0] in self.broken:
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return GpuSession(path, options, providers, self.at_work or providers[0][0])

    def install(self, patch: pytest.MonkeyPatch) -> "GpuRuntime":
        patch.setattr(onnxruntime, "InferenceSession", self.session)
        patch.setattr(
            onnxruntime, "get_available_providers", lambda: [providers.TENSORRT, providers.CUDA, providers.CPU]
        )
        return self


class GpuSession(onnxruntime.InferenceSession):  # type: ignore[misc]
    def __init__(self, path: Path, options: Any, chain: Chain, at_work: str) -> None:
        # Fused as on CPU, whatever was asked for: what it computes is compared number by number.
        super().__init__(path, options, providers=[providers.CPU], disabled_optimizers=FUSIONS_SLOWER_ON_CPU)
        self._names = [name for name, _ in chain]
        self._at_work = at_work

    def get_providers(self) -> list[str]:
        return list(dict.fromkeys([*self._names, providers.CPU]))

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [SimpleNamespace(ep_name=self._at_work)]
