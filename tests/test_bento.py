"""Tests of `bentoml build`: the bento contains what serves and nothing else, and it serves."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bench.server import ROOT
from tests.server import serve

IMAGE_FILES = {"deploy", "requirements", "LICENSE", "NOTICE"}


def test_bento_contains_service_and_runs(
    tiny: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("bentoml")
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    built = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (source,) = home.glob("bentos/headlight/*/src")
    files = {path.relative_to(source).parts[0] for path in source.rglob("*")}
    serves, tells = {"service", "models"}, {"artifacts", "bentofile.yaml", "README.md"}
    assert serves <= files <= serves | tells | IMAGE_FILES
    assert files >= IMAGE_FILES, "an image is made of the bento alone"
    assert not (source / "models" / "attention.py").exists(), "torch code does not belong in a bento"
    assert not list(source.rglob("__pycache__"))
    with serve(tiny, service="headlight:latest", folder=home) as running:
        answer = httpx.post(f"{running.url}/v1/embeddings", json={"model": "tiny", "input": "the lamp"})
    assert answer.status_code == 200
    assert len(answer.json()["data"][0]["embedding"]) == 32
