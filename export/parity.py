"""Does the graph answer as the trained original does? Measured before sealing, never assumed.

The original runs in float64, one item at a time and unpadded, its attention spelled out. The graph runs the same
items in batches, ragged where items can be, forwards and backwards, at sizes that tracing never saw.

Letters: n positions of one item, m of them that attention is told on.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from export.errors import GraphError, ParityError
from export.subjects.base import Item, Subject
from export.subjects.original import Expected
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.artifact import GRAPH_FILE
from models.contract.asking import asking
from models.contract.manifest import Parity
from models.contract.specs import Precision

Outputs = dict[str, Floats]

DIFFERENCES = (
    *("embedding_max_abs", "positions_max_abs", "weights_max_abs", "relevance_max_abs"),
    "neighbours_max_abs",
)

LIMITS: dict[Precision, dict[str, float]] = {
    "fp32": dict.fromkeys(DIFFERENCES, 1e-5),
    "fp16": dict.fromkeys(DIFFERENCES, 1e-2),
    "int8": {"neighbours_max_abs": 1e-5},
}
"""Of 8-bit layers `export.precision.quality` judges, on texts: random ids are unlike all that they were fitted to."""

MIN_COSINE: dict[Precision, float] = {"fp32": 0.99999, "fp16": 0.9999, "int8": 0.0}

FETCHED_BYTES = 256 * 2**20
"""Raw weights that are fetched at once: those of a large picture's layers would not all fit in memory."""

_RUN_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Worst:
    """The largest differences and the smallest cosine so far; NaN, once seen, stays."""

    def __init__(self) -> None:
        self.items = 0
        self.cosine = 1.0
        self.figures: dict[str, float] = {}

    def differ(self, name: str, found: Floats, wanted: Floats | np.float32) -> None:
        gap = np.abs(found - wanted).max(initial=0.0)
        self.figures[name] = float(np.maximum(self.figures.get(name, 0.0), gap))  # numpy's hands NaN on, Python's not

    def turn(self, cosine: float) -> None:
        self.cosine = float(np.minimum(self.cosine, cosine))

    def parity(self) -> Parity:
        return Parity(
            items=self.items,
            embedding_min_cosine=self.cosine,
            **{name: self.figures.get(name) for name in DIFFERENCES},
        )


def measure(directory: Path, subject: Subject, *, seed: int = 0) -> Parity:
    """Run the graph in `directory` against the original. Raises GraphError where it does not run."""
    worst = Worst()
    try:
        session = onnxruntime.InferenceSession(directory / GRAPH_FILE, providers=["CPUExecutionProvider"])
        for batch in subject.batches(np.random.default_rng(seed)):
            _compare(session, subject, batch, worst)
    except _RUN_ERRORS as error:
        raise GraphError(f"the graph does not run: {str(error).splitlines()[0]}") from error
    return worst.parity()


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


def judge_finite(parity: Parity) -> None:
    """Raises ParityError if a figure is not finite."""
    wrong = [name for name, value in parity if value is not None and not np.isfinite(value)]
    if wrong:
        raise ParityError(f"the graph gives what is not finite: {', '.join(wrong)}")


def _compare(session: onnxruntime.InferenceSession, subject: Subject, batch: list[Item], worst: Worst) -> None:
    expected = subject.expect(batch)
    alone = [_run(session, [item], subject, [tensors.POSITIONS]) for item in batch]
    reduced = [tensors.POSITIONS, *(name for reduction in expected[0].matrices for name in _names(reduction))]
    worst.items += len(batch)
    for order in (slice(None), slice(None, None, -1)):
        items = batch[order]
        seen = _run(session, items, subject, reduced)
        for row, (want, by_itself) in enumerate(zip(expected[order], alone[order], strict=True)):
            vector = _unit(seen[tensors.EMBEDDING][row])
            worst.turn(float(vector @ want.embedding))
            worst.differ("embedding_max_abs", vector, want.embedding)
            worst.differ("neighbours_max_abs", vector, _unit(by_itself[tensors.EMBEDDING][0]))
            _compare_positions(seen, row, want, by_itself, worst)
            if subject.parts:
                pooled = want.shares @ seen[tensors.POSITIONS][row, : len(want.shares)]
                worst.differ("positions_max_abs", _unit(pooled), want.embedding)
            _compare_relevance(seen, row, want, worst)
        for layers in _chunks(expected):
            heads = range(len(expected[0].weights[layers[0]]))
            seen = _run(session, items, subject, [name for layer in layers for name in tensors.raw(layer)], heads)
            for row, want in enumerate(expected[order]):
                for layer in layers:
                    for name, wanted in want.raw(layer).items():
                        _compare_weights(seen[name][row], wanted, worst)


def _compare_positions(seen: Outputs, row: int, want: Expected, alone: Outputs, worst: Worst) -> None:
    """By the length that each vector has in the original."""
    found, by_itself = seen[tensors.POSITIONS][row, : len(want.positions)], alone[tensors.POSITIONS][0]
    lengths = np.linalg.norm(want.positions, axis=1, keepdims=True)
    worst.differ("positions_max_abs", found / lengths, want.positions / lengths)
    worst.differ("neighbours_max_abs", found / lengths, by_itself / lengths)


def _names(reduction: tensors.Reduction) -> tuple[str, str]:
    return tensors.matrix(reduction), tensors.pooled(reduction)


def _compare_relevance(seen: Outputs, row: int, want: Expected, worst: Worst) -> None:
    for reduction, matrix in want.matrices.items():
        m = len(matrix)
        whole, pooled = (seen[name][row] for name in _names(reduction))
        worst.differ("relevance_max_abs", whole[:m, :m], matrix)
        worst.differ("relevance_max_abs", pooled[:m], want.pooled[reduction])


def _compare_weights(found: Floats, wanted: Floats, worst: Worst) -> None:
    """Of all heads, of one, or pooled: `[..., n]` is wanted of `[..., s]`, and padding is attended to by nobody."""
    n = wanted.shape[-1]
    own = found[tuple(map(slice, wanted.shape[:-1]))]
    worst.differ("weights_max_abs", own[..., :n], wanted)
    worst.differ("weights_max_abs", own[..., n:], np.float32(0))


def _chunks(expected: Sequence[Expected]) -> Iterator[list[int]]:
    """The layers, those of as many heads together, by as many as may be fetched at once."""
    for heads, alike in groupby(range(len(expected[0].weights)), lambda layer: len(expected[0].weights[layer])):
        longest = max(each.weights[0].shape[-1] for each in expected)
        at_once = max(1, FETCHED_BYTES // (4 * len(expected) * heads * longest**2))
        layers = list(alike)
        for first in range(0, len(layers), at_once):
            yield layers[first : first + at_once]


def _run(
    session: onnxruntime.InferenceSession,
    items: Sequence[Item],
    subject: Subject,
    observed: Sequence[str],
    heads: Sequence[int] = (),
) -> Outputs:
    """The embedding, and what of the observed outputs is asked for, raw weights of `heads`."""
    names = [tensors.EMBEDDING, *observed]
    feeds = {**subject.feed(items), **asking(subject.outputs, observed, heads)}
    return dict(zip(names, session.run(names, feeds), strict=True))


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit
