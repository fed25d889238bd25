"""Quality of a quantized graph: cosine, nearest neighbors and batch invariance compared with the full encoder.

The items must be others than those that the reduced graph was calibrated on. Letters: n items, e width.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from export.errors import ParityError
from export.targets.base import Item
from models.artifact.arrays import Floats
from models.artifact.manifest import Quality
from models.artifact.specs import Precision

Embed = Callable[[Sequence[Item]], Floats]
"""Embeds one batch of items to `[n, e]`, rows of any length but 0."""

NUM_NEIGHBORS = 10
BATCH_SIZE = 16
SOLO_SAMPLES = 64
"""Number of items that are also embedded alone, evenly spaced."""

MIN_MEAN_COSINE = 0.995
MIN_OVERLAP = 0.94
MAX_BATCH_VARIANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-2, "int8": 1e-5}
"""Maximum difference between an item alone and in a batch: float16 is rounded where it is summed, in an order that
depends on the batch."""


def measure(reference: Embed, quantized: Embed, items: Sequence[Item]) -> Quality:
    """Embed `items` with both, in batches of similar lengths, and compare."""
    if len(items) <= NUM_NEIGHBORS:
        raise ValueError(f"{len(items)} items have no {NUM_NEIGHBORS} neighbors each")
    expected, actual = _embed_all(reference, items), _embed_all(quantized, items)
    cosines = (expected * actual).sum(axis=1)
    sample = range(0, len(items), -(-len(items) // SOLO_SAMPLES))
    solo_vectors = np.concatenate([_normalize(quantized([items[i]])) for i in sample])
    expected_neighbors, actual_neighbors = _nearest_neighbors(expected), _nearest_neighbors(actual)
    num_shared = [len(np.intersect1d(a, b)) for a, b in zip(expected_neighbors, actual_neighbors, strict=True)]
    return Quality(
        num_inputs=len(items),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        knn_overlap_at_10=float(np.mean(num_shared)) / NUM_NEIGHBORS,
        batch_invariance_max_abs=float(np.abs(solo_vectors - actual[sample]).max()),
    )


def check_quality(quality: Quality, precision: Precision) -> None:
    """Raise ParityError past a limit. Negated comparisons, so that NaN fails too."""
    failed = []
    if not quality.mean_cosine >= MIN_MEAN_COSINE:
        failed.append(f"mean cosine {quality.mean_cosine:.4f} < {MIN_MEAN_COSINE}")
    if not quality.knn_overlap_at_10 >= MIN_OVERLAP:
        failed.append(f"{quality.knn_overlap_at_10:.3f} of the nearest {NUM_NEIGHBORS} kept < {MIN_OVERLAP}")
    max_variance = MAX_BATCH_VARIANCE[precision]
    if not quality.batch_invariance_max_abs <= max_variance:
        failed.append(
            f"changed {quality.batch_invariance_max_abs:.1e} by other inputs of the batch > {max_variance:.0e}"
        )
    if failed:
        raise ParityError(f"the quantized graph disagrees with the full-precision encoder: {'; '.join(failed)}")


def _embed_all(embed: Embed, items: Sequence[Item]) -> Floats:
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
    sorted_vectors = np.concatenate([_normalize(embed([items[i] for i in batch])) for batch in batches])
    vectors = np.empty_like(sorted_vectors)
    vectors[order] = sorted_vectors
    return vectors


def _nearest_neighbors(vectors: Floats) -> npt.NDArray[np.intp]:
    """Return the indices of each row's neighbors in `[n, e]` of length 1, without itself."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :NUM_NEIGHBORS]


def _normalize(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
