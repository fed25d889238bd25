"""Tests of `make serve` with complete, missing and outdated artifacts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bench.server import ROOT
from models.artifact.manifest import ARTIFACT_FORMAT_VERSION

NAMES = ["all-MiniLM-L6-v2", "scenes-vit"]


@pytest.mark.parametrize("old", [[], NAMES[:1], NAMES])
def test_outdated_artifacts_are_reexported(old: list[str], tiny: Path, tmp_path: Path) -> None:
    manifest = (tiny / "manifest.json").read_text()
    older = manifest.replace(f'"format": {ARTIFACT_FORMAT_VERSION}', f'"format": {ARTIFACT_FORMAT_VERSION - 1}')
    assert older != manifest
    for name in ("Makefile", "pyproject.toml", "requirements", "models/artifact"):
        target = tmp_path / name
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    for name in NAMES:
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        (tmp_path / "artifacts" / name / "manifest.json").write_text(older if name in old else manifest)
    dry_run = subprocess.run(["make", "-n", "artifacts"], cwd=tmp_path, capture_output=True, text=True, check=True)
    exports = [line for line in dry_run.stdout.splitlines() if "-m export" in line]
    assert [line.split("--name ")[1] for line in exports] == [f"{name} --replace" for name in old]
