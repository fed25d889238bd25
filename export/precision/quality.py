"""How far a reduced graph's answers are from the full encoder's, by what embeddings are used for: finding neighbours.

The items must be others than those that the reduced graph was calibrated on. Letters: n items, e width.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from export.errors import ParityError
from export.subjects.base import Item
from models.contract.arrays import Floats
from models.contract.manifest import Quality
from models.contract.specs import Precision

Embed = Callable[[Sequence[Item]], Floats]
"""One batch of items -> their vectors `[n, e]`, of any length but 0."""

NEIGHBOURS = 10
BATCH = 16
ALONE = 64
"""Items that are also embedded by themselves, evenly from all."""

MIN_MEAN_COSINE = 0.995
MIN_OVERLAP = 0.94
MAX_BY_NEIGHBOURS: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-2, "int8": 1e-5}
"""Half floats are rounded where they are summed, and in what order depends on the size of the batch."""


def measure(full: Embed, reduced: Embed, items: Sequence[Item]) -> Quality:
    """Embed `items` by both, in batches of like lengths."""
    if len(items) <= NEIGHBOURS:
        raise ValueError(f"{len(items)} items have no {NEIGHBOURS} neighbours each")
    wanted, found = _vectors(full, items), _vectors(reduced, items)
    cosines = (wanted * found).sum(axis=1)
    some = range(0, len(items), -(-len(items) // ALONE))
    alone = np.concatenate([_unit(reduced([items[i]])) for i in some])
    near, kept = _nearest(wanted), _nearest(found)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(near, kept, strict=True)]
    return Quality(
        items=len(items),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        neighbours_overlap=float(np.mean(shared)) / NEIGHBOURS,
        neighbours_max_abs=float(np.abs(alone - found[some]).max()),
    )


def judge(quality: Quality, precision: Precision) -> None:
    """Raises ParityError past a limit. Negated comparisons, so that NaN fails too."""
    failed = []
    if not quality.mean_cosine >= MIN_MEAN_COSINE:
        failed.append(f"mean cosine {quality.mean_cosine:.4f} < {MIN_MEAN_COSINE}")
    if not quality.neighbours_overlap >= MIN_OVERLAP:
        failed.append(f"{quality.neighbours_overlap:.3f} of the nearest {NEIGHBOURS} kept < {MIN_OVERLAP}")
    most = MAX_BY_NEIGHBOURS[precision]
    if not quality.neighbours_max_abs <= most:
        failed.append(f"changed {quality.neighbours_max_abs:.1e} by neighbours > {most:.0e}")
    if failed:
        raise ParityError(f"the reduced graph disagrees with the full encoder: {'; '.join(failed)}")


def _vectors(embed: Embed, items: Sequence[Item]) -> Floats:
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    sorted_vectors = np.concatenate([_unit(embed([items[i] for i in batch])) for batch in batches])
    vectors = np.empty_like(sorted_vectors)
    vectors[order] = sorted_vectors
    return vectors


def _nearest(vectors: Floats) -> npt.NDArray[np.intp]:
    """[n, e] of length 1 -> indices of each one's neighbours, itself left out."""
    closeness = vectors @ vectors.T
    np.fill_diagonal(closeness, -np.inf)
    return np.argsort(-closeness, axis=1, kind="stable")[:, :NEIGHBOURS]


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
