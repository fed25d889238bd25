"""Parity gate: comparison of the graph with the trained original, before an artifact is sealed.

The original runs in float64, one item at a time and unpadded, its attention spelled out. The graph runs the same
items in batches, ragged where items can be, forwards and backwards, at sizes that tracing never saw.

How close a graph can be depends on the checkpoint: with sharp attention and large norms, as training leaves them, the
original's own float32 arithmetic is off by more than 1e-5. So the original runs in the graph's precision too, and each
figure of the graph may be `TIMES_ORIGINAL` that of the original, or a floor where that is larger, up to a ceiling.

Embeddings are compared at length 1, since only their direction is used; logits relative to their root mean square over
all inputs, so that a head that says little is held to as many digits as one that says much.

Letters: n positions of one item, m of them that attention is reduced to, e width, c labels.
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
from export.targets.base import ExportTarget, Item
from export.targets.reference import ExpectedOutputs
from models.artifact import tensors
from models.artifact.arrays import Floats
from models.artifact.artifact_files import GRAPH_FILE
from models.artifact.graph_inputs import output_selection_inputs
from models.artifact.manifest import Deviation, Parity
from models.artifact.specs import Precision

Outputs = dict[str, Floats]

METRICS = ("embedding", "embedding_cosine", "logits", "token_embeddings", "weights", "relevance", "batch_invariance")

TIMES_ORIGINAL = 3
"""Factor of the original's own error: a graph orders its sums differently, so a few times its rounding error is
expected."""

TOLERANCES: dict[Precision, dict[str, float]] = {
    "fp32": dict.fromkeys(METRICS, 1e-5),
    "fp16": dict.fromkeys(METRICS, 1e-2) | {"embedding_cosine": 1e-4},
    "int8": {"batch_invariance": 1e-5},
}
"""Tolerances by precision. int8 is judged on texts by `export.quantization.quality` instead: random ids are unlike the
calibration data."""

CEILINGS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-1, "int8": 1e-3}
"""Maximum of any figure. An original with a larger own error is unstable in the precision, or its reference in float64
is wrong."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.float32}
"""Type in which the original's own error is measured."""

MAX_FETCHED_BYTES = 256 * 2**20
"""Raw weights fetched at a time: those of a large image's layers would not all fit in memory."""

_RUN_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class MaxErrors:
    """The largest value of each figure so far; NaN, once seen, stays."""

    def __init__(self, logit_scale: float | None = None) -> None:
        """`logit_scale` is what logits are divided by; None for embeddings."""
        self.values: dict[str, float] = {}
        self._logit_scale = logit_scale

    def comparable(self, output: Floats) -> Floats:
        """Return an embedding `[e]` at length 1, or logits `[c]` or `[n, c]` relative to their scale."""
        scaled: Floats = output / (np.linalg.norm(output) if self._logit_scale is None else self._logit_scale)
        return scaled

    def update_output(self, actual: Floats, expected: Floats) -> None:
        """Compare an output with the original's."""
        actual, expected = self.comparable(actual), self.comparable(expected)
        if self._logit_scale is not None:
            self.update_max_abs("logits", actual, expected)
            return
        self.update_max_abs("embedding", actual, expected)
        self.update("embedding_cosine", 1 - float(actual @ expected))

    def update_max_abs(self, name: str, actual: Floats, expected: Floats | np.float32) -> None:
        self.update(name, float(np.abs(actual - expected).max(initial=0.0)))

    def update(self, name: str, value: float) -> None:
        self.values[name] = float(np.maximum(self.values.get(name, 0.0), value))  # numpy's keeps NaN, Python's not


def measure(directory: Path, target: ExportTarget, precision: Precision = "fp32", *, seed: int = 0) -> Parity:
    """Run the graph in `directory` against the original. Raises GraphError where it does not run.

    Originals and the graph are in memory one after another, never together.
    """
    copies = weight_copies.compare(directory, target.parameters(), half=precision == "fp16")
    target.release()
    batches = list(target.validation_batches(np.random.default_rng(seed)))
    items = [item for batch in batches for item in batch]
    expected = list(target.reference_outputs(items))
    scale = None if target.task == "embed" else _root_mean_square(expected)
    original, graph = MaxErrors(scale), MaxErrors(scale)
    for expected_output, reference_output in zip(
        expected, target.reference_outputs(items, DTYPES[precision]), strict=True
    ):
        _compare_reference(expected_output, reference_output, original)
    own = original.values["embedding" if target.task == "embed" else "logits"]
    original.update("batch_invariance", max(own, original.values["token_embeddings"]))
    try:
        session = onnxruntime.InferenceSession(directory / GRAPH_FILE, providers=["CPUExecutionProvider"])
        rest = iter(expected)
        for batch in batches:
            _compare(session, target, batch, [next(rest) for _ in batch], graph)
    except _RUN_ERRORS as error:
        raise GraphError(f"the graph does not run: {str(error).splitlines()[0]}") from error
    return Parity(
        num_inputs=len(items),
        exact_weights=copies,
        **{name: _deviation(name, graph.values, original.values, precision) for name in METRICS},
    )


def check_tolerances(parity: Parity) -> None:
    """Raise ParityError past a limit."""
    # Negated comparisons, so that NaN fails too.
    failed = [
        f"{name} {figure.graph:.1e} > {figure.limit:.1e} "
        f"(error of the reference in this precision: {said(figure.original)})"
        for name, figure in _deviations(parity)
        if figure.limit is not None and not figure.graph <= figure.limit
    ]
    if failed:
        raise ParityError(f"the graph disagrees with the float64 reference: {'; '.join(failed)}")


def said(figure: float | None) -> str:
    return "not finite" if figure is None else f"{figure:.1e}"


def check_finite(parity: Parity) -> None:
    """Raise ParityError if a figure is not finite."""
    wrong = [figure for _, figure in _deviations(parity) if not np.isfinite(figure.graph)]
    if wrong:
        too = ", and so does the original: look at its weights" if any(each.original is None for each in wrong) else ""
        raise ParityError(f"the graph gives values that are not finite{too}")


def _deviations(parity: Parity) -> Iterator[tuple[str, Deviation]]:
    return ((name, figure) for name, figure in parity if isinstance(figure, Deviation))


def _deviation(
    name: str, graph: Mapping[str, float], original: Mapping[str, float], precision: Precision
) -> Deviation | None:
    if name not in graph:
        return None
    own = original[name] if np.isfinite(original[name]) else None
    floor = TOLERANCES[precision].get(name)
    limit = None if floor is None else min(max(floor, TIMES_ORIGINAL * (own or 0.0)), CEILINGS[precision])
    return Deviation(graph=graph[name], original=own, limit=limit)


def _compare_reference(expected: ExpectedOutputs, actual: ExpectedOutputs, max_errors: MaxErrors) -> None:
    """Compare the original in a graph's precision with itself in float64."""
    max_errors.update_output(actual.output, expected.output)
    lengths = np.linalg.norm(expected.token_embeddings, axis=1, keepdims=True)
    max_errors.update_max_abs(
        "token_embeddings", actual.token_embeddings / lengths, expected.token_embeddings / lengths
    )
    for layer, weights in enumerate(expected.weights):
        max_errors.update_max_abs("weights", actual.weights[layer], weights)
    for reduction, matrix in expected.matrices.items():
        max_errors.update_max_abs("relevance", actual.matrices[reduction], matrix)
        max_errors.update_max_abs("relevance", actual.pooled[reduction], expected.pooled[reduction])


def _compare(
    session: onnxruntime.InferenceSession,
    target: ExportTarget,
    batch: list[Item],
    expected: list[ExpectedOutputs],
    max_errors: MaxErrors,
) -> None:
    solo_outputs = [_run(session, [item], target, [tensors.TOKEN_EMBEDDINGS]) for item in batch]
    fetched = [
        tensors.TOKEN_EMBEDDINGS,
        *(name for reduction in expected[0].matrices for name in _reduction_outputs(reduction)),
    ]
    for order in (slice(None), slice(None, None, -1)):
        items = batch[order]
        outputs = _run(session, items, target, fetched)
        for row, (want, solo) in enumerate(zip(expected[order], solo_outputs[order], strict=True)):
            output = outputs[tensors.OUTPUT][row]
            output = output[: len(want.output)] if want.output.ndim == 2 else output  # of a head over tokens: its own
            max_errors.update_output(output, want.output)
            max_errors.update_max_abs(
                "batch_invariance", max_errors.comparable(output), max_errors.comparable(solo[tensors.OUTPUT][0])
            )
            _compare_token_embeddings(outputs, row, want, solo, max_errors)
            if target.pooled_from_tokens:
                pooled = want.pooling_weights @ outputs[tensors.TOKEN_EMBEDDINGS][row, : len(want.pooling_weights)]
                max_errors.update_max_abs(
                    "token_embeddings", max_errors.comparable(pooled), max_errors.comparable(want.output)
                )
            _compare_relevance(outputs, row, want, max_errors)
        for layers in _layer_chunks(expected):
            heads = range(len(expected[0].weights[layers[0]]))
            outputs = _run(
                session, items, target, [name for layer in layers for name in tensors.layer_outputs(layer)], heads
            )
            for row, want in enumerate(expected[order]):
                for layer in layers:
                    for name, expected_weights in want.attention_outputs(layer).items():
                        _compare_weights(outputs[name][row], expected_weights, max_errors)


def _compare_token_embeddings(
    outputs: Outputs, row: int, expected: ExpectedOutputs, solo: Outputs, max_errors: MaxErrors
) -> None:
    """Compare token embeddings, relative to each one's length in the original."""
    actual, solo_embeddings = (
        outputs[tensors.TOKEN_EMBEDDINGS][row, : len(expected.token_embeddings)],
        solo[tensors.TOKEN_EMBEDDINGS][0],
    )
    lengths = np.linalg.norm(expected.token_embeddings, axis=1, keepdims=True)
    max_errors.update_max_abs("token_embeddings", actual / lengths, expected.token_embeddings / lengths)
    max_errors.update_max_abs("batch_invariance", actual / lengths, solo_embeddings / lengths)


def _reduction_outputs(reduction: tensors.Reduction) -> tuple[str, str]:
    return tensors.reduction_matrix(reduction), tensors.pooled_reduction(reduction)


def _compare_relevance(outputs: Outputs, row: int, expected: ExpectedOutputs, max_errors: MaxErrors) -> None:
    for reduction, matrix in expected.matrices.items():
        m = len(matrix)
        full, pooled = (outputs[name][row] for name in _reduction_outputs(reduction))
        max_errors.update_max_abs("relevance", full[:m, :m], matrix)
        max_errors.update_max_abs("relevance", pooled[:m], expected.pooled[reduction])


def _compare_weights(actual: Floats, expected: Floats, max_errors: MaxErrors) -> None:
    """Compare the weights of all heads, of one, or pooled: the first `n` of `[..., s]`, without weight on padding."""
    n = expected.shape[-1]
    item_weights = actual[tuple(map(slice, expected.shape[:-1]))]
    max_errors.update_max_abs("weights", item_weights[..., :n], expected)
    max_errors.update_max_abs("weights", item_weights[..., n:], np.float32(0))


def _layer_chunks(expected: Sequence[ExpectedOutputs]) -> Iterator[list[int]]:
    """Yield groups of layers with the same number of heads, each small enough to be fetched at once."""
    for heads, group in groupby(range(len(expected[0].weights)), lambda layer: len(expected[0].weights[layer])):
        longest = max(each.weights[0].shape[-1] for each in expected)
        chunk_size = max(1, MAX_FETCHED_BYTES // (4 * len(expected) * heads * longest**2))
        layers = list(group)
        for first in range(0, len(layers), chunk_size):
            yield layers[first : first + chunk_size]


def _run(
    session: onnxruntime.InferenceSession,
    items: Sequence[Item],
    target: ExportTarget,
    output_names: Sequence[str],
    heads: Sequence[int] = (),
) -> Outputs:
    """Return the graph's main output and the requested others, with raw weights of `heads`."""
    names = [tensors.OUTPUT, *output_names]
    feeds = {**target.graph_inputs(items), **output_selection_inputs(target.outputs, output_names, heads)}
    return dict(zip(names, session.run(names, feeds), strict=True))


def _root_mean_square(expected: Sequence[ExpectedOutputs]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([each.output.ravel() for each in expected]) ** 2)))
