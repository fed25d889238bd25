"""Files of an artifact directory, and their verification.

Knows digests and names; opens no graph. A sealed artifact is complete and unchanged, or it is refused.
"""

import hashlib
from pathlib import Path
from typing import Final

from models.artifact.errors import ArtifactError, unreadable
from models.artifact.manifest import MANIFEST_FILE, FileDigest, Manifest
from models.artifact.specs import Modality

GRAPH_FILE: Final = "model.onnx"
WEIGHTS_FILE: Final = "weights.bin"
TOKENIZER_FILE: Final = "tokenizer.json"


def required_files(modality: Modality) -> tuple[str, ...]:
    """Return the files of an artifact in addition to its manifest."""
    return (GRAPH_FILE, WEIGHTS_FILE, *([TOKENIZER_FILE] if modality == "text" else []))


def digest(path: Path) -> FileDigest:
    """Return the size and sha256 of one file, read in chunks."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileDigest(bytes=path.stat().st_size, sha256=sha256)


def list_artifacts(root: Path) -> list[Path]:
    """List the artifact directories directly below `root`, by name. Hidden ones are exports in progress.

    Raises ArtifactError for a directory that cannot be entered.
    """
    if not root.is_dir():
        return []
    try:
        children = sorted(root.iterdir())
    except OSError as error:
        raise unreadable(root, error) from error
    return [child for child in children if not child.name.startswith(".") and _has_manifest(child)]


def _has_manifest(directory: Path) -> bool:
    try:
        (directory / MANIFEST_FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(directory, error) from error
    return True


def verify(directory: Path) -> Manifest:
    """Read the manifest and hold every file of it against its digest.

    Raises ArtifactError naming the first file that is missing, unreadable, a link, of another size or of another
    content.
    """
    _check_not_link(directory / MANIFEST_FILE)
    manifest = Manifest.read(directory)
    for name in required_files(manifest.modality):
        if name not in manifest.files:
            raise ArtifactError(directory / MANIFEST_FILE, f"does not list {name}")
    for name, expected in manifest.files.items():
        try:
            _verify_file(directory / name, expected)
        except OSError as error:
            raise unreadable(directory / name, error) from error
    return manifest


def _verify_file(path: Path, expected: FileDigest) -> None:
    _check_not_link(path)
    if not path.is_file():
        raise ArtifactError(path, "is missing")
    found_bytes = path.stat().st_size
    if found_bytes != expected.bytes:
        raise ArtifactError(path, f"has {found_bytes} bytes, the manifest says {expected.bytes}")
    if digest(path) != expected:
        raise ArtifactError(path, "does not match its sha256 in the manifest")


def _check_not_link(path: Path) -> None:
    try:
        is_link = path.is_symlink()
    except OSError as error:
        raise unreadable(path, error) from error
    if is_link:
        raise ArtifactError(path, "is a link; an artifact holds plain files only")
