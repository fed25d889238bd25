"""Does the graph answer as the trained original does? Measured before sealing, never assumed.

The original runs in float64, one item at a time and unpadded, its attention spelled out. The graph runs the same
items in batches, ragged where items can be, forwards and backwards, at sizes that tracing never saw.

How close a graph can be depends on the checkpoint: with sharp attention and large norms, as training leaves them, the
original's own float32 arithmetic is off by more than 1e-5. So the original runs in the graph's precision too, and each
figure of the graph may be `TIMES_ORIGINAL` that of the original, or a floor where that is larger, up to a ceiling.

Letters: n positions of one item, m of them that attention is reduced to.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from export import weight_copies
from export.errors import GraphError, ParityError
from export.subjects.base import Item, Subject
from export.subjects.original import Expected
from models.contract import tensors
from models.contract.arrays import Floats
from models.contract.artifact import GRAPH_FILE
from models.contract.asking import asking
from models.contract.manifest import Deviation, Parity
from models.contract.specs import Precision

Outputs = dict[str, Floats]

FIGURES = ("embedding", "embedding_cosine", "positions", "weights", "relevance", "batch")

TIMES_ORIGINAL = 3
"""A graph orders its sums otherwise than the original does: a few times the same rounding error is expected."""

FLOORS: dict[Precision, dict[str, float]] = {
    "fp32": dict.fromkeys(FIGURES, 1e-5),
    "fp16": dict.fromkeys(FIGURES, 1e-2) | {"embedding_cosine": 1e-4},
    "int8": {"batch": 1e-5},
}
"""Of 8-bit layers `export.precision.quality` judges, on texts: random ids are unlike all that they were fitted to."""

CEILINGS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-1, "int8": 1e-3}
"""The most that any figure may be. An original that is so far off itself is not stable in the precision, or its
reference in float64 is wrong."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.float32}
"""In which the original's own error is measured."""

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
    """The largest value of each figure so far; NaN, once seen, stays."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def differ(self, name: str, found: Floats, wanted: Floats | np.float32) -> None:
        self.add(name, float(np.abs(found - wanted).max(initial=0.0)))

    def add(self, name: str, value: float) -> None:
        self.figures[name] = float(np.maximum(self.figures.get(name, 0.0), value))  # numpy's keeps NaN, Python's not


def measure(directory: Path, subject: Subject, precision: Precision = "fp32", *, seed: int = 0) -> Parity:
    """Run the graph in `directory` against the original. Raises GraphError where it does not run.

    Originals and the graph are in memory one after another, never together.
    """
    copies = weight_copies.compare(directory, subject.parameters(), half=precision == "fp16")
    subject.release()
    batches = list(subject.batches(np.random.default_rng(seed)))
    items = [item for batch in batches for item in batch]
    expected = list(subject.expect(items))
    original, graph = Worst(), Worst()
    for want, found in zip(expected, subject.expect(items, DTYPES[precision]), strict=True):
        _compare_original(want, found, original)
    original.add("batch", max(original.figures["embedding"], original.figures["positions"]))
    try:
        session = onnxruntime.InferenceSession(directory / GRAPH_FILE, providers=["CPUExecutionProvider"])
        rest = iter(expected)
        for batch in batches:
            _compare(session, subject, batch, [next(rest) for _ in batch], graph)
    except _RUN_ERRORS as error:
        raise GraphError(f"the graph does not run: {str(error).splitlines()[0]}") from error
    return Parity(
        items=len(items),
        exact_weights=copies,
        **{name: _deviation(name, graph.figures, original.figures, precision) for name in FIGURES},
    )


def judge(parity: Parity) -> None:
    """Raise ParityError past a limit."""
    # Negated comparisons, so that NaN fails too.
    failed = [
        f"{name} {figure.graph:.1e} > {figure.limit:.1e} (the original's own error: {said(figure.original)})"
        for name, figure in _figures(parity)
        if figure.limit is not None and not figure.graph <= figure.limit
    ]
    if failed:
        raise ParityError(f"the graph disagrees with the original in float64: {'; '.join(failed)}")


def said(figure: float | None) -> str:
    return "not finite" if figure is None else f"{figure:.1e}"


def judge_finite(parity: Parity) -> None:
    """Raise ParityError if a figure is not finite."""
    wrong = [figure for _, figure in _figures(parity) if not np.isfinite(figure.graph)]
    if wrong:
        too = ", and so does the original: look at its weights" if any(each.original is None for each in wrong) else ""
        raise ParityError(f"the graph gives values that are not finite{too}")


def _figures(parity: Parity) -> Iterator[tuple[str, Deviation]]:
    return ((name, figure) for name, figure in parity if isinstance(figure, Deviation))


def _deviation(
    name: str, graph: Mapping[str, float], original: Mapping[str, float], precision: Precision
) -> Deviation | None:
    if name not in graph:
        return None
    own = original[name] if np.isfinite(original[name]) else None
    floor = FLOORS[precision].get(name)
    limit = None if floor is None else min(max(floor, TIMES_ORIGINAL * (own or 0.0)), CEILINGS[precision])
    return Deviation(graph=graph[name], original=own, limit=limit)


def _compare_original(want: Expected, found: Expected, worst: Worst) -> None:
    """The original in a graph's precision against itself in float64."""
    worst.differ("embedding", found.embedding, want.embedding)
    worst.add("embedding_cosine", 1 - float(found.embedding @ want.embedding))
    lengths = np.linalg.norm(want.positions, axis=1, keepdims=True)
    worst.differ("positions", found.positions / lengths, want.positions / lengths)
    for layer, weights in enumerate(want.weights):
        worst.differ("weights", found.weights[layer], weights)
    for reduction, matrix in want.matrices.items():
        worst.differ("relevance", found.matrices[reduction], matrix)
        worst.differ("relevance", found.pooled[reduction], want.pooled[reduction])


def _compare(
    session: onnxruntime.InferenceSession,
    subject: Subject,
    batch: list[Item],
    expected: list[Expected],
    worst: Worst,
) -> None:
    alone = [_run(session, [item], subject, [tensors.POSITIONS]) for item in batch]
    reduced = [tensors.POSITIONS, *(name for reduction in expected[0].matrices for name in _names(reduction))]
    for order in (slice(None), slice(None, None, -1)):
        items = batch[order]
        seen = _run(session, items, subject, reduced)
        for row, (want, by_itself) in enumerate(zip(expected[order], alone[order], strict=True)):
            vector = _unit(seen[tensors.EMBEDDING][row])
            worst.add("embedding_cosine", 1 - float(vector @ want.embedding))
            worst.differ("embedding", vector, want.embedding)
            worst.differ("batch", vector, _unit(by_itself[tensors.EMBEDDING][0]))
            _compare_positions(seen, row, want, by_itself, worst)
            if subject.parts:
                pooled = want.shares @ seen[tensors.POSITIONS][row, : len(want.shares)]
                worst.differ("positions", _unit(pooled), want.embedding)
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
    worst.differ("positions", found / lengths, want.positions / lengths)
    worst.differ("batch", found / lengths, by_itself / lengths)


def _names(reduction: tensors.Reduction) -> tuple[str, str]:
    return tensors.matrix(reduction), tensors.pooled(reduction)


def _compare_relevance(seen: Outputs, row: int, want: Expected, worst: Worst) -> None:
    for reduction, matrix in want.matrices.items():
        m = len(matrix)
        whole, pooled = (seen[name][row] for name in _names(reduction))
        worst.differ("relevance", whole[:m, :m], matrix)
        worst.differ("relevance", pooled[:m], want.pooled[reduction])


def _compare_weights(found: Floats, wanted: Floats, worst: Worst) -> None:
    """Of all heads, of one, or pooled: `[..., n]` is wanted of `[..., s]`, and padding gets no weight."""
    n = wanted.shape[-1]
    own = found[tuple(map(slice, wanted.shape[:-1]))]
    worst.differ("weights", own[..., :n], wanted)
    worst.differ("weights", own[..., n:], np.float32(0))


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
