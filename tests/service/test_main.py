"""Tests of startup errors: the process exits at once, with one line."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bench.server import ROOT
from models.artifact.artifact_files import digest
from models.artifact.manifest import Manifest
from tests.server import serve


def startup_error(*arguments: str, **settings: str) -> str:
    environment = os.environ | {f"HEADLIGHT_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_corrupt_artifact_is_named(tiny: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(tiny, tmp_path / "broken"))
    data = bytearray((broken / "weights.bin").read_bytes())
    data[100] ^= 1
    (broken / "weights.bin").write_bytes(data)
    message = startup_error(models=json.dumps([str(tiny), str(broken)]))
    assert message == "cannot start: broken/weights.bin does not match its sha256 in the manifest\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": "[]"}, "nothing to serve"),
        ({"models": '["/nowhere"]'}, "nowhere/manifest.json cannot be read"),
        ({"device": "tpu"}, "HEADLIGHT_DEVICE"),
        ({"max_client_batch_size": "0"}, "HEADLIGHT_MAX_CLIENT_BATCH_SIZE"),
        ({"api_keys_file": "/nowhere"}, "HEADLIGHT_API_KEYS_FILE"),
        ({"api_keys": '[""]'}, "HEADLIGHT_API_KEYS"),
        (
            {"api_keys": "one, two"},
            'HEADLIGHT_API_KEYS: must be a JSON list of strings, such as \'["first", "second"]\'\n',
        ),
        ({"api_keys": ""}, "HEADLIGHT_API_KEYS: must be a JSON list"),
        ({"models": "artifacts/tiny"}, "HEADLIGHT_MODELS: must be a JSON list"),
        ({"cors_origins": "3"}, "HEADLIGHT_CORS_ORIGINS: must be a JSON list"),
        (
            {"max_items": "5", "max_client_batch_size": "5"},
            "HEADLIGHT_MAX_ITEMS is the deprecated name of HEADLIGHT_MAX_CLIENT_BATCH_SIZE",
        ),
        ({"api_key": '["x"]'}, "cannot start: unknown setting HEADLIGHT_API_KEY; did you mean HEADLIGHT_API_KEYS?\n"),
        ({"port": "8080"}, "cannot start: unknown setting HEADLIGHT_PORT\n"),
    ],
)
def test_invalid_settings_fail_at_startup(settings: dict[str, str], message: str) -> None:
    assert message in startup_error(**settings)


def test_unavailable_device_fails_at_startup(tiny: Path) -> None:
    assert "no CUDA provider" in startup_error(models=json.dumps([str(tiny)]), device="cuda")


def test_address_in_use_fails_at_startup(tiny: Path) -> None:
    models = json.dumps([str(tiny)])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = startup_error("--port", str(port), models=models)
    assert message == f"cannot start: 127.0.0.1 port {port}: Address already in use\n"
    assert "host.invalid port 3000" in startup_error("--host", "host.invalid", models=models)


def test_incompatible_artifacts_fail_at_startup(tiny: Path, tmp_path: Path) -> None:
    assert "has the same model name as another artifact" in startup_error(models=json.dumps([str(tiny)] * 2))
    other = wider(tiny, tmp_path / "other")
    message = startup_error(models=json.dumps([str(tiny), str(other)]))
    assert message == ("cannot start: other/manifest.json has width 33, but another artifact of space tiny has 32\n")


def wider(artifact: Path, copy: Path) -> Path:
    """Of another name, in the same space."""
    manifest = Manifest.read(Path(shutil.copytree(artifact, copy)))
    embedding = manifest.embedding.model_copy(update={"dim": manifest.embedding.dim + 1})
    manifest.model_copy(update={"name": copy.name, "embedding": embedding}).write(copy)
    return copy


def test_worker_failure_ends_the_process(tiny: Path, tmp_path: Path) -> None:
    """What no look beforehand finds: sealed as it is, and no graph."""
    broken = Path(shutil.copytree(tiny, tmp_path / "broken"))
    (broken / "model.onnx").write_bytes(b"no graph")
    manifest = Manifest.read(broken)
    files = {**manifest.files, "model.onnx": digest(broken / "model.onnx")}
    manifest.model_copy(update={"files": files}).write(broken)
    environment = os.environ | {"HEADLIGHT_MODELS": json.dumps([str(broken)])}
    command = [sys.executable, "-m", "service", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode > 0
    assert "model.onnx cannot be loaded by this ONNX Runtime" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "65536"], ["--workers", "2"]])
def test_invalid_options_fail_at_startup(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "service", *arguments], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 2


def test_unavailable_device_names_the_model(tiny: Path) -> None:
    assert startup_error(models=json.dumps([str(tiny)]), device="cuda").startswith("cannot start: model tiny: ")


def test_server_logs_its_address_and_its_requests(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with serve(tiny, log=log) as server:
        httpx.get(f"{server.url}/nowhere", headers={"X-Request-Id": "one"})
    lines = log.read_text()
    assert "serving: models=tiny" in lines
    assert f"ready: address={server.url.removeprefix('http://')}" in lines
    assert '"request_id":"one"' in lines
