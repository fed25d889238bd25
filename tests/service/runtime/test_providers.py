"""Tests of providers: the requested one, configured by the service, and never silently another."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.artifact import tensors
from models.artifact.errors import ArtifactError
from models.artifact.manifest import GraphSpec, Manifest
from models.artifact.specs import Device
from service.runtime import providers
from service.runtime.encoder import open_encoder
from service.runtime.providers import CPU, CUDA, TENSORRT, DeviceOption, ProviderUnavailable
from service.runtime.session import DISABLED_CPU_OPTIMIZERS, Session
from tests.fake_ort import GpuRuntime
from tests.service.conftest import ClientFactory

BOTH: tuple[Device, ...] = ("cpu", "cuda")
ITEMS = [np.arange(2, 7), np.array([3])]


@pytest.mark.parametrize(("asked", "kind"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt")])
def test_missing_provider_is_rejected(tiny: Path, asked: DeviceOption, kind: str) -> None:
    assert not {CUDA, TENSORRT} & set(onnxruntime.get_available_providers()), "for machines without a GPU's runtime"
    with pytest.raises(ProviderUnavailable, match=f"no {kind} provider"):
        open_encoder(tiny, device=asked)


def test_tensorrt_is_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    GpuRuntime().install(monkeypatch)
    assert providers.select_provider("auto", BOTH) == CUDA
    assert providers.select_provider("cuda", BOTH) == CUDA
    assert providers.select_provider("tensorrt", BOTH) == TENSORRT
    assert providers.select_provider("cpu", BOTH) == CPU
    assert providers.select_provider("auto", ("cpu",)) == CPU
    for asked in ("cuda", "tensorrt"):
        with pytest.raises(ProviderUnavailable, match="for cpu only"):
            providers.select_provider(asked, ("cpu",))
    with pytest.raises(ProviderUnavailable, match="for cuda only"):
        providers.select_provider("cpu", ("cuda",))


@pytest.mark.parametrize(("asked", "provider"), [("auto", CUDA), ("cuda", CUDA), ("tensorrt", TENSORRT)])
def test_gpu_session_equals_cpu_session(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, asked: DeviceOption, provider: str
) -> None:
    wanted = (tensors.OUTPUT, tensors.pooled_reduction("rollout"))
    expected = open_encoder(tiny, device="cpu").run(ITEMS, wanted)
    runtime = GpuRuntime().install(monkeypatch)
    encoder = open_encoder(tiny, device=asked, threads=2, concurrent_batches=2)
    assert encoder.provider == provider
    assert len(runtime.provider_chains) == 1, "one session, whatever the processors"
    found = encoder.run(ITEMS, wanted)
    for name in wanted:
        np.testing.assert_array_equal(found[name], expected[name])


def test_tensorrt_falls_back_to_cuda_for_unsupported_graphs(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = GpuRuntime().install(monkeypatch)
    for precision in ("fp32", "fp16"):
        Session(tiny / "model.onnx", Manifest.read(tiny).graph, device="tensorrt", threads=1, precision=precision)
    (first, cuda), (half, also_cuda) = runtime.provider_chains
    assert [first[0], cuda[0]] == [half[0], also_cuda[0]] == [TENSORRT, CUDA]
    assert cuda[1] == also_cuda[1] == providers.CUDA_OPTIONS
    assert set(first[1]["trt_op_types_to_exclude"].split(",")) == {"Attention", "If"}
    assert "trt_fp16_enable" not in first[1]
    assert half[1]["trt_fp16_enable"] == "1"


@pytest.mark.parametrize(
    "runtime",
    [GpuRuntime(assigned_provider=CPU), GpuRuntime(failing_providers=[CUDA, TENSORRT])],
    ids=["registered", "broken"],
)
def test_idle_gpu_is_rejected_only_if_requested(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, runtime: GpuRuntime
) -> None:
    """A provider may be registered and have none of the graph, or fail when the session is made."""
    runtime.install(monkeypatch)
    for asked in ("cuda", "tensorrt"):
        with pytest.raises(ProviderUnavailable, match=f"device {asked} was requested, but .*{CPU}"):
            open_encoder(tiny, device=asked)
    on_gpu_alone = GraphSpec(devices=("cuda",), outputs=("embedding",), attention_operators=2)
    with pytest.raises(ProviderUnavailable, match="cuda only, which failed"):
        Session(tiny / "model.onnx", on_gpu_alone, device="auto", threads=1)
    encoder = open_encoder(tiny, device="auto")
    assert encoder.provider == CPU
    assert runtime.provider_chains[-1] == [(CPU, {})]
    assert encoder.run(ITEMS)[tensors.OUTPUT].shape == (2, 32)


def test_cuda_instead_of_tensorrt_is_rejected(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    GpuRuntime(assigned_provider=CUDA).install(monkeypatch)
    with pytest.raises(ProviderUnavailable, match=f"fell back to {CUDA}"):
        open_encoder(tiny, device="tensorrt")


def test_sessions_do_not_fall_back_silently(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's Python moves a session to CPU when a run fails, and when an option is none."""
    runtime = GpuRuntime().install(monkeypatch)
    for asked in ("cpu", "cuda", "tensorrt"):
        open_encoder(tiny, device=asked)
    assert runtime.fallback_flags == [0, 0, 0]


def test_fusions_are_disabled_on_cpu_only(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = GpuRuntime().install(monkeypatch)
    for asked in ("cpu", "cuda", "tensorrt"):
        open_encoder(tiny, device=asked)
    assert runtime.disabled_optimizers == [DISABLED_CPU_OPTIMIZERS, (), ()]


def test_invalid_graph_is_an_artifact_error_on_every_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    GpuRuntime().install(monkeypatch)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    spec = GraphSpec(devices=BOTH, outputs=("embedding",), attention_operators=2)
    with pytest.raises(ArtifactError, match=r"model.onnx cannot be loaded"):
        Session(tmp_path / "model.onnx", spec, device="auto", threads=1)


def test_models_and_metrics_report_the_active_provider(serving: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    GpuRuntime().install(monkeypatch)
    with serving(device="tensorrt") as client:
        (model,) = client.get("/v1/models").json()["data"]
        assert model["provider"] == TENSORRT
        text = client.get("/metrics").text
        assert f'headlight_model_info{{model="tiny",precision="fp32",provider="{TENSORRT}"}} 1.0' in text
        answer = client.post("/v1/embeddings", content=json.dumps({"model": "tiny", "input": "the old lamp"}))
        assert answer.status_code == 200
