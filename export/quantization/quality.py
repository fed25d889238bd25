"""Quality of a reduced graph, compared with the full model by what its outputs are used for.

Embeddings and sparse vectors keep their directions and neighbors, a reranker the order of the documents of a query, a
classifier the first label of an input or of each token. The items must be others than those that the reduced graph was
calibrated on.

Letters: b items, n positions of one item, e width, c labels.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from export.errors import ParityError
from export.targets.base import Item
from models.artifact.arrays import Floats
from models.artifact.manifest import Quality
from models.artifact.specs import Precision, Task
from models.synthetic_corpus import DOCUMENTS_PER_QUERY

Run = Callable[[Sequence[Item]], Floats]
"""Runs one batch of items to `[b, e]`, rows of any length but 0; to logits `[b, c]`, or `[b, s, c]` padded."""

NUM_NEIGHBORS = 10
BATCH_SIZE = 16
SOLO_SAMPLES = 64
"""Number of items that are also run alone, evenly spaced."""

MIN_MEAN_COSINE = 0.995
MIN_OVERLAP = 0.94
MIN_RANK_CORRELATION = 0.98
MIN_LABEL_AGREEMENT = 0.98
MAX_BATCH_VARIANCE: dict[Precision, float] = {"fp32": 1e-5, "fp16": 1e-2, "int8": 1e-5}
"""Maximum difference between an item alone and in a batch: float16 is rounded where it is summed, in an order that
depends on the batch."""


def measure(reference: Run, quantized: Run, items: Sequence[Item], task: Task = "embed") -> Quality:
    """Run `items` with both, in batches of similar lengths, and compare."""
    if task in ("embed", "sparse"):
        return _compare_embeddings(reference, quantized, items)
    expected, actual = _run_all(reference, items), _run_all(quantized, items)
    scale = np.sqrt(np.mean(np.concatenate([each.ravel() for each in expected]) ** 2))
    sample = _solo_sample(items)
    solo = [quantized([items[i]])[0] for i in sample]
    variance = max(float(np.abs(alone - actual[i]).max() / scale) for i, alone in zip(sample, solo, strict=True))
    quality = Quality(num_inputs=len(items), batch_invariance_max_abs=variance)
    if task == "rerank":
        return quality.model_copy(update={"rank_correlation": _rank_correlation(expected, actual)})
    same = [want.argmax(axis=-1) == found.argmax(axis=-1) for want, found in zip(expected, actual, strict=True)]
    return quality.model_copy(
        update={"label_agreement": float(np.mean(np.concatenate(list(map(np.atleast_1d, same)))))}
    )


def check_quality(quality: Quality, precision: Precision) -> None:
    """Raise ParityError past a limit. Negated comparisons, so that NaN fails too."""
    floors = {
        "mean cosine": (quality.mean_cosine, MIN_MEAN_COSINE),
        f"part of the nearest {NUM_NEIGHBORS} kept": (quality.knn_overlap_at_10, MIN_OVERLAP),
        "rank correlation": (quality.rank_correlation, MIN_RANK_CORRELATION),
        "part of the labels kept": (quality.label_agreement, MIN_LABEL_AGREEMENT),
    }
    failed = [
        f"{name} {value:.4f} < {floor}"
        for name, (value, floor) in floors.items()
        if value is not None and not value >= floor
    ]
    max_variance = MAX_BATCH_VARIANCE[precision]
    if not quality.batch_invariance_max_abs <= max_variance:
        failed.append(
            f"changed {quality.batch_invariance_max_abs:.1e} by other inputs of the batch > {max_variance:.0e}"
        )
    if failed:
        raise ParityError(f"the quantized graph disagrees with the full-precision encoder: {'; '.join(failed)}")


def _compare_embeddings(reference: Run, quantized: Run, items: Sequence[Item]) -> Quality:
    if len(items) <= NUM_NEIGHBORS:
        raise ValueError(f"{len(items)} items have no {NUM_NEIGHBORS} neighbors each")
    expected, actual = (_normalize(np.stack(_run_all(run, items))) for run in (reference, quantized))
    cosines = (expected * actual).sum(axis=1)
    sample = _solo_sample(items)
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


def _solo_sample(items: Sequence[Item]) -> range:
    return range(0, len(items), -(-len(items) // SOLO_SAMPLES))


def _run_all(run: Run, items: Sequence[Item]) -> list[Floats]:
    """Return the output of each item: `[e]`, `[c]`, or `[n, c]` without padding."""
    order = sorted(range(len(items)), key=lambda i: items[i].shape[-1])
    outputs: dict[int, Floats] = {}
    for start in range(0, len(items), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        for i, output in zip(batch, run([items[i] for i in batch]), strict=True):
            outputs[i] = output[: items[i].shape[-1]] if output.ndim == 2 else output
    return [outputs[i] for i in range(len(items))]


def _rank_correlation(expected: Sequence[Floats], actual: Sequence[Floats]) -> float:
    """Return the mean of Spearman's correlation over the queries of `synthetic_corpus.generate_pairs`."""
    correlations = []
    for start in range(0, len(expected), DOCUMENTS_PER_QUERY):
        ranks = [
            np.argsort(np.argsort([scores[0] for scores in each[start : start + DOCUMENTS_PER_QUERY]])).astype(float)
            for each in (expected, actual)
        ]
        correlations.append(float(np.corrcoef(ranks[0], ranks[1])[0, 1]))
    return float(np.mean(correlations))


def _nearest_neighbors(vectors: Floats) -> npt.NDArray[np.intp]:
    """Return the indices of each row's neighbors in `[b, e]` of length 1, without itself."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :NUM_NEIGHBORS]


def _normalize(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
