"""Commands `inspect` and `verify`: description of an artifact, and comparison with its source."""

import tempfile
from pathlib import Path

from export import parity
from export.errors import ExportError
from export.options import ExportOptions
from export.targets.base import ExportTarget
from export.targets.loader import load_target
from models.artifact import artifact_files
from models.artifact.errors import ArtifactError
from models.artifact.manifest import Manifest, Parity


def inspect(directory: Path) -> Manifest:
    """Return the manifest after checking every file against it. Raises ExportError."""
    try:
        return artifact_files.verify(directory)
    except ArtifactError as error:
        raise ExportError(str(error)) from error


def verify(directory: Path, source: Path) -> Parity:
    """Measure the artifact against `source` again, as when it was sealed. Raises ExportError."""
    manifest = inspect(directory)
    overrides = manifest.overrides.model_dump()
    space = manifest.embedding.space if manifest.tasks == ("embed",) else None
    target = load_target(source, ExportOptions(modality=manifest.modality, space=space, **overrides))
    different = [name for name, is_same in _same(manifest, directory, target).items() if not is_same]
    if different:
        raise ExportError(
            f"{source} is not the model that {directory} was exported from: different are {', '.join(different)}"
        )
    measured = parity.measure(directory, target, manifest.precision)
    parity.check_tolerances(measured)
    return measured


def _same(manifest: Manifest, directory: Path, subject: ExportTarget) -> dict[str, bool]:
    """Return which parts of an artifact equal what an export of `subject` would write."""
    with tempfile.TemporaryDirectory() as staged:
        subject.copy_files(Path(staged))
        files = all(path.read_bytes() == (directory / path.name).read_bytes() for path in Path(staged).iterdir())
    return {
        "embedding": subject.embedding_spec(manifest.name) == manifest.embedding,
        "head": (subject.task,) == manifest.tasks and subject.head == manifest.head,
        "attention": subject.attention == manifest.attention,
        "limits and prompts": (subject.text, subject.image) == (manifest.text, manifest.image),
        "tokenizer": files,
    }
