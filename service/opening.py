"""Artifacts as they are taken up: verified, held against each other, opened. What does not go together is refused."""

from collections.abc import Iterable
from pathlib import Path

from models.contract.artifact import verify
from models.contract.errors import ArtifactError
from models.contract.manifest import MANIFEST_FILE, Manifest
from service.processors import side_by_side
from service.runtime.encoder import AnyEncoder, open_encoder
from service.settings import Settings

Artifact = tuple[Path, Manifest]
"""Its directory, and what its manifest says; its digests are looked at."""

_looked_at: dict[Path, Manifest] = {}
"""Verified in this process, and not yet opened."""


def look_at(settings: Settings) -> list[Artifact]:
    """All that is to be served, in order, which `opened` then need not read twice.

    Raises ArtifactError for what is broken, or does not go with another.
    """
    found = [(directory, verify(directory)) for directory in settings.artifact_directories()]
    _refuse_what_does_not_go_together(found)
    _looked_at.update((directory.resolve(), manifest) for directory, manifest in found)
    return found


def opened(settings: Settings) -> dict[str, AnyEncoder]:
    """All that is to be served, each on its device, by name. Raises ArtifactError or ProviderUnavailable."""
    threads = settings.intra_op_threads()
    directories = [directory.resolve() for directory in settings.artifact_directories()]
    if not _looked_at.keys() >= set(directories):
        look_at(settings)
    manifests = dict(_looked_at)
    _looked_at.clear()  # whoever opens them again has to look again
    encoders = [
        open_encoder(
            directory,
            manifests[directory],
            device=settings.device,
            threads=threads,
            side_by_side=side_by_side(threads),
            max_image_pixels=settings.max_image_pixels,
        )
        for directory in directories
    ]
    return {encoder.name: encoder for encoder in encoders}


def _refuse_what_does_not_go_together(artifacts: Iterable[Artifact]) -> None:
    names: set[str] = set()
    widths: dict[str, int] = {}
    for directory, manifest in artifacts:
        path, embedding = directory / MANIFEST_FILE, manifest.embedding
        if manifest.name in names:
            raise ArtifactError(path, "has a name that another artifact has too")
        names.add(manifest.name)
        width = widths.setdefault(embedding.space, embedding.width)
        if width != embedding.width:
            told = f"has vectors {embedding.width} wide, and another artifact of space {embedding.space} has {width}"
            raise ArtifactError(path, told)
