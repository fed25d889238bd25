"""Loading of models: verification and compatibility of artifacts, opening, batch limits, and warm-up."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from models.artifact import tensors
from models.artifact.artifact_files import verify
from models.artifact.errors import ArtifactError
from models.artifact.manifest import MANIFEST_FILE, Manifest
from service import limits
from service.cpu import concurrent_batches
from service.engine.plan import FLOAT_BYTES, AttentionOptions
from service.engine.waiting_queue import BatchLimits
from service.runtime.encoder import OUTPUT_AND_TOKENS, OUTPUT_ONLY, AnyEncoder, open_encoder
from service.runtime.providers import CPU
from service.settings import Settings

Artifact = tuple[Path, Manifest]
"""Directory and manifest of a verified artifact."""

_verified: dict[Path, Manifest] = {}
"""Artifacts verified in this process and not yet opened."""


def verify_artifacts(settings: Settings) -> list[Artifact]:
    """Verify and return the configured artifacts, in order; `load_models` does not read them a second time.

    Raises ArtifactError for a broken artifact, or one that is incompatible with another.
    """
    artifacts = [(directory, verify(directory)) for directory in settings.artifact_directories()]
    _check_compatibility(artifacts)
    _verified.update((directory.resolve(), manifest) for directory, manifest in artifacts)
    return artifacts


def load_models(settings: Settings) -> dict[str, AnyEncoder]:
    """Open the configured models on their devices, by name. Raises ArtifactError or ProviderUnavailable."""
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


logger = logging.getLogger(__name__)

CPU_BATCH_TOKENS = 256
"""Maximum tokens of a CPU batch per thread. A larger batch gains no throughput (its activations leave the cache) and
delays its neighbors; `max_batch_tokens` can only lower it."""


WarmupCase = tuple[int, int, Sequence[str]]
"""Positions per item, number of items, and the requested outputs."""


def batch_limits(encoder: AnyEncoder, settings: Settings, in_flight: int) -> BatchLimits:
    """Return the limits of one batch when `in_flight` batches run concurrently."""
    attention = encoder.manifest.attention
    threads, max_tokens = settings.intra_op_threads(), settings.max_batch_tokens
    if encoder.provider == CPU:
        max_tokens = min(max_tokens, CPU_BATCH_TOKENS * threads // concurrent_batches(threads))
    if encoder.manifest.text and "sparse" in encoder.manifest.tasks:
        token_bytes = FLOAT_BYTES * encoder.manifest.text.vocab_size * 2  # up to half of a batch may be padding
        max_tokens = max(1, min(max_tokens, limits.SPARSE_WORKSPACE_BYTES // in_flight // token_bytes))
    workspace = limits.ATTENTION_WORKSPACE_BYTES // in_flight
    return BatchLimits(
        tokens=max_tokens, attention_elements=workspace // (FLOAT_BYTES * attention.num_matrices) if attention else 0
    )


def warm_up(encoder: AnyEncoder, limits: BatchLimits, workspace: int) -> float:
    """Run the largest batches first, so that ONNX Runtime's arena has its final size, then the smallest.

    An item's attention may take `workspace` bytes. Returns the seconds that the longest run took.
    """
    # Logged before: a process that the kernel kills out of memory logs nothing afterwards.
    logger.info("warming up: model=%s max_positions=%d", encoder.name, encoder.max_positions)
    attention = encoder.manifest.attention
    heads = tuple(range(min(attention.heads))) if attention else ()
    durations_s = []
    for exclusive in (True, False):
        for positions, items, outputs in _warmup_cases(encoder, heads, limits, workspace):
            started_at = time.monotonic()
            encoder.run([encoder.dummy_input(positions)] * items, outputs, heads, exclusive=exclusive)
            durations_s.append(time.monotonic() - started_at)
    return max(durations_s)


def _warmup_cases(
    encoder: AnyEncoder, heads: tuple[int, ...], limits: BatchLimits, workspace: int
) -> Iterator[WarmupCase]:
    max_positions, all_outputs = encoder.max_positions, encoder.manifest.graph.outputs
    max_items = max(1, limits.tokens // max_positions)
    yield max_positions, max_items, OUTPUT_AND_TOKENS
    if heads:
        raw = AttentionOptions(reduce="raw", query="all", heads=heads).plan(encoder.manifest)
        rollout = AttentionOptions().plan(encoder.manifest)
        for plan, outputs in ((rollout, (tensors.OUTPUT, *rollout.outputs)), (raw, all_outputs)):
            # Images have a fixed length: their attention is computed at that length or not at all.
            positions = plan.max_positions(max_positions, workspace)
            if positions == max_positions or (positions and encoder.manifest.text):
                yield positions, max(1, min(max_items, limits.attention_elements // positions**2)), outputs
    yield 1, 1, OUTPUT_ONLY
