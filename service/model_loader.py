"""Loading of artifacts: verification, compatibility checks, and opening."""

from collections.abc import Iterable
from pathlib import Path

from models.artifact.artifact_files import verify
from models.artifact.errors import ArtifactError
from models.artifact.manifest import MANIFEST_FILE, Manifest
from service.cpu import concurrent_batches
from service.runtime.encoder import AnyEncoder, open_encoder
from service.settings import Settings

Artifact = tuple[Path, Manifest]
"""Its directory, and what its manifest says; its digests are looked at."""

_verified: dict[Path, Manifest] = {}
"""Verified in this process, and not yet opened."""


def verify_artifacts(settings: Settings) -> list[Artifact]:
    """All that is to be served, in order, which `load_models` then need not read twice.

    Raises ArtifactError for what is broken, or does not go with another.
    """
    artifacts = [(directory, verify(directory)) for directory in settings.artifact_directories()]
    _check_compatibility(artifacts)
    _verified.update((directory.resolve(), manifest) for directory, manifest in artifacts)
    return artifacts


def load_models(settings: Settings) -> dict[str, AnyEncoder]:
    """All that is to be served, each on its device, by name. Raises ArtifactError or ProviderUnavailable."""
    threads = settings.intra_op_threads()
    directories = [directory.resolve() for directory in settings.artifact_directories()]
    if not _verified.keys() >= set(directories):
        verify_artifacts(settings)
    manifests = dict(_verified)
    _verified.clear()  # models opened again are verified again
    encoders = [
        open_encoder(
            directory,
            manifests[directory],
            device=settings.device,
            threads=threads,
            concurrent_batches=concurrent_batches(threads),
            max_image_pixels=settings.max_image_pixels,
        )
        for directory in directories
    ]
    return {encoder.name: encoder for encoder in encoders}


def _check_compatibility(artifacts: Iterable[Artifact]) -> None:
    names: set[str] = set()
    widths: dict[str, int] = {}
    for directory, manifest in artifacts:
        path, embedding = directory / MANIFEST_FILE, manifest.embedding
        if manifest.name in names:
            raise ArtifactError(path, "has the same model name as another artifact")
        names.add(manifest.name)
        width = widths.setdefault(embedding.space, embedding.dim)
        if width != embedding.dim:
            message = f"has width {embedding.dim}, but another artifact of space {embedding.space} has {width}"
            raise ArtifactError(path, message)
