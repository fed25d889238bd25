"""Tests of artifacts: complete and unchanged, or refused with the file's name."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from models.artifact.artifact_files import list_artifacts, verify
from models.artifact.errors import ArtifactError
from models.artifact.manifest import Manifest


@pytest.fixture
def artifact(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


def test_sealed_artifact_verifies(artifact: Path) -> None:
    assert verify(artifact).name == "tiny"
    assert list_artifacts(artifact.parent) == [artifact]


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "weights.bin", "tokenizer.json"])
def test_unreadable_file_is_named(artifact: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Simulated: the superuser, whom a test may run as, can read every file."""
    open_path = Path.open

    def open_readable(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == artifact / name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_path(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_readable)
    with pytest.raises(ArtifactError, match=f"^tiny/{name} cannot be read: Permission denied$"):
        verify(artifact)


def test_unreadable_directory_is_named(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def stat_readable(path: Path, **options: Any) -> os.stat_result:
        if path.parent == artifact:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stat_readable)
    with pytest.raises(ArtifactError, match=f"^{artifact.parent.name}/tiny cannot be read: Permission denied$"):
        list_artifacts(artifact.parent)


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin", "tokenizer.json"])
def test_flipped_byte_is_found(artifact: Path, name: str) -> None:
    data = bytearray((artifact / name).read_bytes())
    data[len(data) // 2] ^= 1
    (artifact / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=name):
        verify(artifact)


def test_missing_file_a_short_file_and_a_link_are_refused(artifact: Path) -> None:
    weights = artifact / "weights.bin"
    elsewhere = weights.rename(artifact.parent / "weights.bin")
    with pytest.raises(ArtifactError, match=r"weights.bin is missing"):
        verify(artifact)
    weights.symlink_to(elsewhere)
    with pytest.raises(ArtifactError, match=r"weights.bin is a link"):
        verify(artifact)
    weights.unlink()
    weights.write_bytes(elsewhere.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"weights.bin has \d+ bytes"):
        verify(artifact)


def edit(artifact: Path, **changes: object) -> None:
    path = artifact / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_format_is_named(artifact: Path) -> None:
    edit(artifact, format=3, brand_new_field=1)
    with pytest.raises(ArtifactError, match=r"artifact format 3, this version reads 8; export the model again"):
        Manifest.read(artifact)


def test_path_that_leaves_the_directory_is_refused(artifact: Path) -> None:
    edit(artifact, files={"../weights.bin": {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(ArtifactError, match="not a valid manifest"):
        verify(artifact)


def test_manifest_that_lists_too_little_is_refused(artifact: Path) -> None:
    edit(artifact, files={})
    with pytest.raises(ArtifactError, match=r"does not list model.onnx"):
        verify(artifact)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x"}', "\x00"])
def test_malformed_manifest_is_refused(artifact: Path, text: str) -> None:
    (artifact / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        Manifest.read(artifact)
