"""Atomic creation of an artifact: it appears complete under its name, or not at all.

All files are written to a hidden directory next to the final one, hashed, verified as the service verifies them, and
renamed into place.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.errors import ExportError, StorageError
from export.stop_signals import defer_signals
from models.artifact.artifact_files import digest, required_files, verify
from models.artifact.errors import ArtifactError
from models.artifact.manifest import FileDigest, Manifest
from models.artifact.specs import Modality

_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exhausted quota, and a file over the process's size limit."""


def require_replaceable(artifact_dir: Path, *, replace: bool) -> None:
    """Raise ExportError if `artifact_dir` exists and `replace` is False."""
    if artifact_dir.exists() and not replace:
        raise ExportError(f"{artifact_dir} exists; pass --replace to export it again")


@contextmanager
def staging(artifact_dir: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a hidden directory next to `artifact_dir`; remove it on exit unless `seal` has moved it.

    Raises ExportError at once if `artifact_dir` exists and `replace` is False, or if its parent is not writable;
    StorageError if a file does not fit while the directory is in use.
    """
    require_replaceable(artifact_dir, replace=replace)
    directory = _hidden_directory(artifact_dir)
    try:
        _create(directory)
        yield directory
    except OSError as error:
        if error.errno not in _OUT_OF_SPACE:
            raise
        raise StorageError(f"cannot write {artifact_dir}: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _hidden_directory(artifact_dir: Path) -> Path:
    """Return a name that nothing has. It is known before it is created, so that a stop in between leaves nothing."""
    return artifact_dir.parent / f".{artifact_dir.name}.{secrets.token_hex(8)}"


def _create(directory: Path) -> None:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise ExportError(f"cannot write to {directory.parent}: {error.strerror}") from error


def compute_digests(directory: Path, modality: Modality) -> dict[str, FileDigest]:
    """Return the digest of every file that the manifest has to list."""
    return {name: digest(directory / name) for name in required_files(modality)}


def seal(staging_dir: Path, artifact_dir: Path, manifest: Manifest) -> None:
    """Write the manifest, verify the staged directory and rename it to `artifact_dir`."""
    manifest.write(staging_dir)
    try:
        verify(staging_dir)
    except ArtifactError as error:
        raise ExportError(f"the new artifact cannot be read back: {error}") from error
    staging_dir.chmod(0o755)  # the server may run as another user
    with defer_signals():  # a stop in between would leave no artifact, or two
        if not artifact_dir.exists():
            os.rename(staging_dir, artifact_dir)
            return
        old_artifact = _hidden_directory(artifact_dir)
        os.rename(artifact_dir, old_artifact)
        os.rename(staging_dir, artifact_dir)
        shutil.rmtree(old_artifact)
