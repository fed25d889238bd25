"""Atomic creation of an artifact: it appears complete under its name, or not at all.

All files are written to a hidden directory next to the final one, hashed, verified as the service verifies them, and
renamed into place.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.errors import ExportError, StorageError
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
    try:
        artifact_dir.parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f".{artifact_dir.name}.", dir=artifact_dir.parent))
    except OSError as error:
        raise ExportError(f"cannot write to {artifact_dir.parent}: {error.strerror}") from error
    try:
        yield directory
    except OSError as error:
        if error.errno not in _OUT_OF_SPACE:
            raise
        raise StorageError(f"cannot write {artifact_dir}: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)


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
    staging_dir.chmod(0o755)  # mkdtemp creates it as 0700; the server may run as another user
    if not artifact_dir.exists():
        os.rename(staging_dir, artifact_dir)
        return
    old_artifact = Path(tempfile.mkdtemp(prefix=f".{artifact_dir.name}.", dir=artifact_dir.parent))
    os.rename(artifact_dir, old_artifact)
    os.rename(staging_dir, artifact_dir)
    shutil.rmtree(old_artifact)
