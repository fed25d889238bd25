"""Tests of sessions: only requested outputs are computed, and only verified files are opened."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from models.artifact import artifact_files, tensors
from models.artifact.artifact_files import digest
from models.artifact.errors import ArtifactError
from models.artifact.manifest import FileDigest, GraphSpec, Manifest
from service import model_loader
from service import settings as settings_module
from service.bootstrap import open_state
from service.errors import InferenceFailed
from service.runtime import session
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.session import Session
from service.settings import Settings


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> TextEncoder:
    encoder = open_encoder(tiny, device="cpu", threads=1)
    assert isinstance(encoder, TextEncoder)
    return encoder


def test_session_runs_on_reported_provider(encoder: TextEncoder) -> None:
    assert encoder.provider == "CPUExecutionProvider"


def test_slow_cpu_fusions_are_disabled(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_run = tmp_path / "as_run.onnx"
    options = onnxruntime.SessionOptions

    def keeping() -> onnxruntime.SessionOptions:
        made = options()
        made.optimized_model_filepath = str(as_run)
        return made

    def operators() -> set[str]:
        open_encoder(tiny, device="cpu", threads=1)
        return {node.op_type for node in onnx.load(as_run, load_external_data=False).graph.node}

    monkeypatch.setattr(onnxruntime, "SessionOptions", keeping)
    slower = {"SkipLayerNormalization", "BiasGelu"}
    assert operators().isdisjoint(slower)
    monkeypatch.setattr(session, "DISABLED_CPU_OPTIMIZERS", ())
    assert operators() >= slower, "it would be, by this ONNX Runtime"


def test_run_returns_requested_outputs_only(encoder: TextEncoder) -> None:
    items = [np.arange(2, 7), np.array([3])]
    pooled = tensors.pooled_reduction("rollout")
    assert encoder.run(items).keys() == {tensors.OUTPUT}
    seen = encoder.run(items, (tensors.OUTPUT, pooled))
    assert seen.keys() == {tensors.OUTPUT, pooled}
    np.testing.assert_allclose(seen[tensors.OUTPUT], encoder.run(items)[tensors.OUTPUT], atol=1e-6)
    np.testing.assert_allclose(seen[pooled].sum(-1), 1, atol=1e-6)


def test_postprocess_truncates_before_normalizing(encoder: TextEncoder) -> None:
    embeddings = np.array([[3, 4, 12], [0, 0, 5]], dtype=np.float32)
    np.testing.assert_allclose(encoder.postprocess(embeddings, 2), np.array([[0.6, 0.8], [0, 0]]), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(encoder.postprocess(embeddings), axis=1), 1, atol=1e-6)


def test_failing_run_raises_inference_failed_without_input(
    encoder: TextEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InferenceFailed) as failure:
        encoder.run([np.array([10_000_000])])
    assert "10000000" not in failure.value.message
    assert encoder.run([np.array([3])])[tensors.OUTPUT].shape == (1, 32)
    capfd.readouterr()


def test_invalid_graph_is_rejected(tiny: Path, tmp_path: Path) -> None:
    spec = Manifest.read(tiny).graph
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match=r"model.onnx cannot be loaded"):
        Session(tmp_path / "model.onnx", spec, device="cpu", threads=1)
    other = GraphSpec(devices=("cpu",), outputs=("another",), attention_operators=2)
    with pytest.raises(ArtifactError, match="outputs that differ"):
        Session(tiny / "model.onnx", other, device="cpu", threads=1)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname"])
def test_external_weights_outside_artifact_are_rejected(tiny: Path, tmp_path: Path, location: str) -> None:
    """Matching digests prove that no file changed, not that the artifact's author is trustworthy."""
    shutil.copy(tiny / "weights.bin", tmp_path)
    copied = Path(shutil.copytree(tiny, tmp_path / "tiny"))
    model = onnx.load(copied / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    (copied / "model.onnx").write_bytes(model.SerializeToString())
    manifest = Manifest.read(copied)
    files = {**manifest.files, "model.onnx": digest(copied / "model.onnx")}
    manifest.model_copy(update={"files": files}).write(copied)
    with pytest.raises(ArtifactError, match=r"model.onnx cannot be loaded"):
        open_encoder(copied, device="cpu")


def test_no_artifacts_and_duplicate_names_are_rejected(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nothing to serve"):
        open_state(Settings(models=()))
    copy = shutil.copytree(tiny, tmp_path / "copy")
    with pytest.raises(ArtifactError, match=r"copy/manifest.json has the same model name as another artifact"):
        open_state(Settings(models=(tiny, copy)))


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MODELS", '["a", "b"]')
    monkeypatch.setenv("HEADLIGHT_MAX_CLIENT_BATCH_SIZE", "7")
    settings = Settings()
    assert settings.artifact_directories() == [Path("a"), Path("b")]
    assert settings.max_client_batch_size == 7
    monkeypatch.setenv("HEADLIGHT_MAX_CLIENT_BATCH", "7")
    with pytest.raises(
        ValueError, match=r"unknown setting HEADLIGHT_MAX_CLIENT_BATCH; did you mean HEADLIGHT_MAX_CLIENT_BATCH_SIZE\?"
    ):
        Settings()
    monkeypatch.delenv("HEADLIGHT_MAX_CLIENT_BATCH")
    monkeypatch.setenv("HEADLIGHT_DEVICE", "abacus")
    with pytest.raises(ValueError, match="device"):
        Settings()


@pytest.mark.parametrize(("old", "new"), settings_module.DEPRECATED.items())
def test_deprecated_settings_are_read_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    settings_module._warn_deprecated.cache_clear()
    monkeypatch.setenv(f"HEADLIGHT_{old.upper()}", "123")
    assert getattr(Settings(), new) == getattr(Settings(), new) == 123
    (record,) = caplog.records
    assert record.getMessage() == f"deprecated setting: name=HEADLIGHT_{old.upper()} use=HEADLIGHT_{new.upper()}"


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["HEADLIGHT_SERVICE_HOST", "HEADLIGHT_SERVICE_PORT", "HEADLIGHT_SERVICE_PORT_HTTP"], "10.0.0.1"),
        (["HEADLIGHT_PORT", "HEADLIGHT_PORT_3000_TCP", "HEADLIGHT_GPU_PORT"], "tcp://10.0.0.1:3000"),
        (["HEADLIGHT_PORT_3000_TCP_PORT", "HEADLIGHT_PORT_53_UDP_PROTO", "HEADLIGHT_GPU_SERVICE_HOST"], "3000"),
    ],
)
def test_kubernetes_service_variables_are_ignored(
    monkeypatch: pytest.MonkeyPatch, names: list[str], value: str
) -> None:
    for name in names:
        monkeypatch.setenv(name, value)
    assert Settings().max_client_batch_size == 2_048


def test_verified_artifact_is_not_read_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(models=(tiny,))
    read: list[Path] = []

    def noted(path: Path) -> FileDigest:
        read.append(path)
        return digest(path)

    monkeypatch.setattr(artifact_files, "digest", noted)
    model_loader.verify_artifacts(settings)
    looked = len(read)
    assert looked == 3
    model_loader.load_models(settings)
    assert len(read) == looked
    model_loader.load_models(settings)
    assert len(read) == 2 * looked, "loading the models again verifies the files again"
