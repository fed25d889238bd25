"""Sealing: an artifact appears whole under its name, or not at all.

Everything is written to a hidden directory beside the final one, digested, verified as the service will verify it,
and renamed into place.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export.errors import ExportError
from models.contract.artifact import digest, required_files, verify
from models.contract.errors import ArtifactError
from models.contract.manifest import FileDigest, Manifest
from models.contract.specs import Modality


@contextmanager
def staging(target: Path, *, replace: bool) -> Iterator[Path]:
    """Give a hidden directory beside `target`; it is gone afterwards unless `seal` has moved it.

    Raises ExportError at once if `target` exists and is not to be replaced, or nothing can be written beside it.
    """
    if target.exists() and not replace:
        raise ExportError(f"{target} exists; pass --replace to export it again")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ExportError(f"nothing can be written to {target.parent}: {error.strerror}") from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def digests(directory: Path, modality: Modality) -> dict[str, FileDigest]:
    """Digest of every file that the manifest has to list."""
    return {name: digest(directory / name) for name in required_files(modality)}


def seal(staged: Path, target: Path, manifest: Manifest) -> None:
    """Write the manifest, verify the staged directory and rename it to `target`."""
    manifest.write(staged)
    try:
        verify(staged)
    except ArtifactError as error:
        raise ExportError(f"what was made cannot be read back: {error}") from error
    staged.chmod(0o755)  # mkdtemp keeps others out; an artifact is read by whoever serves it
    if not target.exists():
        os.rename(staged, target)
        return
    retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    os.rename(target, retired)
    os.rename(staged, target)
    shutil.rmtree(retired)
