"""Looking at what is sealed already: what it is, and whether it still answers as the encoder that it came from."""

from pathlib import Path

from export import parity
from export.errors import ExportError
from export.options import Options
from export.subjects.opening import open_subject
from models.contract import artifact
from models.contract.errors import ArtifactError
from models.contract.manifest import Manifest, Parity


def inspect(directory: Path) -> Manifest:
    """The manifest, once every file has been held against it. Raises ExportError."""
    try:
        return artifact.verify(directory)
    except ArtifactError as error:
        raise ExportError(str(error)) from error


def verify(directory: Path, source: Path) -> Parity:
    """Measure the artifact against `source` anew, as it was measured when it was sealed. Raises ExportError."""
    manifest = inspect(directory)
    subject = open_subject(
        source,
        Options(
            modality=manifest.modality,
            pooling=manifest.embedding.pooling,
            max_tokens=manifest.text.max_tokens if manifest.text else None,
            normalize=manifest.embedding.normalize,
            task="embed",
        ),
    )
    same = (subject.text, subject.image, subject.attention) == (manifest.text, manifest.image, manifest.attention)
    if not same or subject.embedding(manifest.name).width != manifest.embedding.width:
        raise ExportError(f"{source} is another model than {directory} was exported from")
    figures = parity.measure(directory, subject, manifest.precision)
    parity.judge(figures, manifest.precision)
    return figures
