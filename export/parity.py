"""Does the graph answer as the trained original does? Measured before sealing, never assumed.

The original runs in float64, one item at a time and unpadded, its attention spelled out. The graph runs the same
items in batches, ragged where items can be, forwards and backwards, at sizes that tracing never saw.

Letters: n positions of one item, m of them that attention is told on.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from export.errors import ParityError
from export.subjects.base import Expected, Item, Subject
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.artifact import GRAPH_FILE
from models.contract.asking import asking
from models.contract.manifest import Parity, Precision

Outputs = dict[str, Floats]

DIFFERENCES = ("embedding_max_abs", "weights_max_abs", "relevance_max_abs", "neighbours_max_abs")

LIMITS: dict[Precision, dict[str, float]] = {
    "fp32": dict.fromkeys(DIFFERENCES, 1e-5),
    "fp16": dict.fromkeys(DIFFERENCES, 1e-2),
    "int8": {"neighbours_max_abs": 1e-5},
}
"""Of 8-bit layers `export.precision.quality` judges, on texts: random ids are unlike all that they were fitted to."""

MIN_COSINE: dict[Precision, float] = {"fp32": 0.99999, "fp16": 0.9999, "int8": 0.0}


def measure(directory: Path, subject: Subject, *, seed: int = 0) -> Parity:
    """Run the graph in `directory` against the original."""
    batches = list(subject.batches(np.random.default_rng(seed)))
    items = [item for batch in batches for item in batch]
    expected = subject.expect(items)
    session = onnxruntime.InferenceSession(directory / GRAPH_FILE, providers=["CPUExecutionProvider"])
    alone = [_unit(_run(session, [item], subject, [])[tensors.EMBEDDING][0]) for item in items]
    worst = dict.fromkeys(DIFFERENCES, 0.0)
    cosine = 1.0
    start = 0
    for batch in batches:
        for order in (slice(None), slice(None, None, -1)):
            members = list(range(start, start + len(batch)))[order]
            seen = _run(session, [items[i] for i in members], subject, subject.outputs[1:])
            for row, i in enumerate(members):
                vector = _unit(seen[tensors.EMBEDDING][row])
                # numpy's minimum and maximum hand NaN on, Python's lose it.
                cosine = float(np.min([cosine, vector @ expected[i].embedding]))
                found = _differences(vector, seen, row, expected[i], alone[i])
                worst = {name: float(np.maximum(worst[name], found[name])) for name in worst}
        start += len(batch)
    unseen = {} if subject.attention else dict.fromkeys(("weights_max_abs", "relevance_max_abs"))
    return Parity(items=len(items), embedding_min_cosine=min(cosine, 1.0), **{**worst, **unseen})


def judge(parity: Parity, precision: Precision) -> None:
    """Raises ParityError past a limit."""
    limits = LIMITS[precision]
    # Negated comparisons, so that NaN fails too.
    failed = [f"{name} {value:.1e} > {limits[name]:.0e}" for name, value in parity
              if name in limits and value is not None and not value <= limits[name]]  # fmt: skip
    if not parity.embedding_min_cosine >= MIN_COSINE[precision]:
        failed.append(f"embedding_min_cosine {parity.embedding_min_cosine} < {MIN_COSINE[precision]}")
    if failed:
        raise ParityError(f"the graph disagrees with the original: {'; '.join(failed)}")


def _differences(vector: Floats, seen: Outputs, row: int, want: Expected, alone: Floats) -> dict[str, float]:
    """Largest absolute differences of one item, by the names of `DIFFERENCES`."""
    weights = []
    for layer, wanted in enumerate(want.weights):
        found, n = seen[tensors.weights(layer)][row], wanted.shape[-1]
        k = len(found)  # of heads, those that every layer has
        weights += [_gap(found[:, :n, :n], wanted[:k]), _gap(found[:, :n, n:], np.float32(0))]
    relevances = []
    for reduction, matrix in want.matrices.items():
        m = len(matrix)
        relevances.append(_gap(seen[tensors.matrix(reduction)][row, :m, :m], matrix))
        relevances.append(_gap(seen[tensors.pooled(reduction)][row, :m], want.pooled[reduction]))
    return {
        "embedding_max_abs": _gap(vector, want.embedding),
        "weights_max_abs": _worst(weights),
        "relevance_max_abs": _worst(relevances),
        "neighbours_max_abs": _gap(vector, alone),
    }


def _run(
    session: onnxruntime.InferenceSession, items: Sequence[Item], subject: Subject, observed: Sequence[str]
) -> Outputs:
    """The embedding, and what of the observed outputs is asked for."""
    names = [tensors.EMBEDDING, *observed]
    feeds = {**subject.feed(items), **asking(subject.outputs, observed, subject.heads)}
    return dict(zip(names, session.run(names, feeds), strict=True))


def _gap(a: Floats, b: Floats | np.float32) -> float:
    """Largest absolute difference; NaN if there is one."""
    return float(np.abs(a - b).max(initial=0.0))


def _worst(gaps: Sequence[float]) -> float:
    return float(np.max(gaps, initial=0.0))


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit
