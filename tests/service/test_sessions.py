"""Sessions: only what was asked for is computed, and only what was sealed is opened."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from models.contract import artifact, tensors
from models.contract.artifact import digest
from models.contract.errors import ArtifactError
from models.contract.manifest import FileDigest, GraphSpec, Manifest
from service import opening
from service.errors import InferenceFailed
from service.runtime import session
from service.runtime.encoder import TextEncoder, open_encoder
from service.runtime.session import Session
from service.settings import Settings
from service.state import State


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> TextEncoder:
    encoder = open_encoder(tiny, device="cpu", threads=1)
    assert isinstance(encoder, TextEncoder)
    return encoder


def test_the_graph_runs_on_the_provider_it_reports(encoder: TextEncoder) -> None:
    assert encoder.provider == "CPUExecutionProvider"


def test_what_is_slower_on_cpu_is_not_made_of_the_graph(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr(session, "FUSIONS_SLOWER_ON_CPU", ())
    assert operators() >= slower, "it would be, by this ONNX Runtime"


def test_only_the_outputs_asked_for_come_back(encoder: TextEncoder) -> None:
    items = [np.arange(2, 7), np.array([3])]
    pooled = tensors.pooled("rollout")
    assert encoder.run(items).keys() == {tensors.EMBEDDING}
    seen = encoder.run(items, (tensors.EMBEDDING, pooled))
    assert seen.keys() == {tensors.EMBEDDING, pooled}
    np.testing.assert_allclose(seen[tensors.EMBEDDING], encoder.run(items)[tensors.EMBEDDING], atol=1e-6)
    np.testing.assert_allclose(seen[pooled].sum(-1), 1, atol=1e-6)


def test_finishing_cuts_before_it_normalises_and_takes_a_zero_vector(encoder: TextEncoder) -> None:
    embeddings = np.array([[3, 4, 12], [0, 0, 5]], dtype=np.float32)
    np.testing.assert_allclose(encoder.finish(embeddings, 2), np.array([[0.6, 0.8], [0, 0]]), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(encoder.finish(embeddings), axis=1), 1, atol=1e-6)


def test_a_failing_run_is_typed_and_quotes_nothing(encoder: TextEncoder, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InferenceFailed) as failure:
        encoder.run([np.array([10_000_000])])
    assert "10000000" not in failure.value.message
    assert encoder.run([np.array([3])])[tensors.EMBEDDING].shape == (1, 32)
    capfd.readouterr()


def test_a_graph_that_is_none_or_another_is_refused(tiny: Path, tmp_path: Path) -> None:
    spec = Manifest.read(tiny).graph
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match=r"model.onnx cannot be loaded"):
        Session(tmp_path / "model.onnx", spec, device="cpu", threads=1)
    other = GraphSpec(devices=("cpu",), outputs=("another",), attention_operators=2)
    with pytest.raises(ArtifactError, match="other outputs"):
        Session(tiny / "model.onnx", other, device="cpu", threads=1)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname"])
def test_weights_outside_the_artifact_are_refused(tiny: Path, tmp_path: Path, location: str) -> None:
    """Digests say that nothing was changed, not that whoever sealed it meant well."""
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


def test_nothing_to_serve_and_two_of_a_name_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nothing to serve"):
        State.open(Settings(models=()))
    copy = shutil.copytree(tiny, tmp_path / "copy")
    with pytest.raises(ArtifactError, match=r"copy/manifest.json has a name that another artifact has too"):
        State.open(Settings(models=(tiny, copy)))


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MODELS", '["a", "b"]')
    monkeypatch.setenv("HEADLIGHT_MAX_ITEMS", "7")
    settings = Settings()
    assert settings.artifact_directories() == [Path("a"), Path("b")]
    assert settings.max_items == 7
    monkeypatch.setenv("HEADLIGHT_MAX_ITEM", "7")
    with pytest.raises(ValueError, match=r"HEADLIGHT_MAX_ITEM is no setting; did you mean HEADLIGHT_MAX_ITEMS\?"):
        Settings()
    monkeypatch.delenv("HEADLIGHT_MAX_ITEM")
    monkeypatch.setenv("HEADLIGHT_DEVICE", "abacus")
    with pytest.raises(ValueError, match="device"):
        Settings()


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["HEADLIGHT_SERVICE_HOST", "HEADLIGHT_SERVICE_PORT", "HEADLIGHT_SERVICE_PORT_HTTP"], "10.0.0.1"),
        (["HEADLIGHT_PORT", "HEADLIGHT_PORT_3000_TCP", "HEADLIGHT_GPU_PORT"], "tcp://10.0.0.1:3000"),
        (["HEADLIGHT_PORT_3000_TCP_PORT", "HEADLIGHT_PORT_53_UDP_PROTO", "HEADLIGHT_GPU_SERVICE_HOST"], "3000"),
    ],
)
def test_what_kubernetes_says_of_a_service_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, names: list[str], value: str
) -> None:
    for name in names:
        monkeypatch.setenv(name, value)
    assert Settings().max_items == 2_048


def test_what_was_looked_at_is_not_read_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(models=(tiny,))
    read: list[Path] = []

    def noted(path: Path) -> FileDigest:
        read.append(path)
        return digest(path)

    monkeypatch.setattr(artifact, "digest", noted)
    opening.look_at(settings)
    looked = len(read)
    assert looked == 3
    opening.opened(settings)
    assert len(read) == looked
    opening.opened(settings)
    assert len(read) == 2 * looked, "whoever opens them again looks again"
