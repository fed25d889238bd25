"""Tests of IO binding: the same arrays as a plain run, after any other run, from any thread."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.artifact import tensors
from models.artifact.arrays import Floats, InputArray
from models.artifact.graph_inputs import output_selection_inputs, pack
from models.artifact.manifest import Manifest
from service.runtime.session import IoBindingRunner

LENGTHS = [[5], [1, 9, 30], [3, 40, 1, 1, 7]]
WANTED = [
    (tensors.OUTPUT,),
    (tensors.pooled_reduction("rollout"), tensors.OUTPUT),
    (tensors.OUTPUT, tensors.TOKEN_EMBEDDINGS, tensors.layer_weights(1)),
]


@pytest.fixture(scope="module")
def session(tiny: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(tiny / "model.onnx", providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def feeds(tiny: Path) -> list[dict[str, InputArray]]:
    """For each pair of LENGTHS and WANTED."""
    outputs = Manifest.read(tiny).graph.outputs
    batches = [[np.random.default_rng(n).integers(0, 14, n) for n in lengths] for lengths in LENGTHS]
    return [
        {**pack(batch), **output_selection_inputs(outputs, wanted, [0, 2])} for batch in batches for wanted in WANTED
    ]


def expected(session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]) -> list[list[Floats]]:
    return [session.run(list(wanted), fed) for wanted, fed in zip(WANTED * len(LENGTHS), feeds, strict=True)]


def test_binding_shapes_and_outputs_can_change_between_runs(
    session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]
) -> None:
    bound = IoBindingRunner(session)
    found = [bound(wanted, fed) for wanted, fed in zip(WANTED * len(LENGTHS), feeds, strict=True)]
    for arrays, others in zip(found, expected(session, feeds), strict=True):
        assert len(arrays) == len(others)
        for array, other in zip(arrays, others, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, other)


def test_outputs_outlive_later_runs(session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]) -> None:
    """They are views of ONNX Runtime's memory, which must not be given to the next run while they are there."""
    bound = IoBindingRunner(session)
    (first,) = bound(WANTED[0], feeds[0])
    kept = first.copy()
    for _ in range(20):
        bound(WANTED[0], {**feeds[0], "input_ids": feeds[0]["input_ids"] * 0})
    np.testing.assert_array_equal(first, kept)


def test_concurrent_runs_are_isolated(
    session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]
) -> None:
    bound, right = IoBindingRunner(session), expected(session, feeds)
    work = [i % len(feeds) for i in range(200)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: bound((WANTED * len(LENGTHS))[i], feeds[i]), work))
    for i, arrays in zip(work, found, strict=True):
        for array, other in zip(arrays, right[i], strict=True):
            np.testing.assert_array_equal(array, other)


def test_non_contiguous_inputs(session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]) -> None:
    spread = {name: np.repeat(array, 2)[::2] if array.ndim == 1 else array for name, array in feeds[0].items()}
    assert not spread["input_ids"].flags.contiguous
    (found,) = IoBindingRunner(session)(WANTED[0], spread)
    np.testing.assert_array_equal(found, session.run(list(WANTED[0]), feeds[0])[0])


def test_unknown_names_fail(session: onnxruntime.InferenceSession, feeds: list[dict[str, InputArray]]) -> None:
    with pytest.raises(RuntimeError, match="another"):
        IoBindingRunner(session)(WANTED[0], {**feeds[0], "another": np.zeros(1)})
    with pytest.raises(RuntimeError, match="Invalid output name"):
        IoBindingRunner(session)(["another"], feeds[0])
