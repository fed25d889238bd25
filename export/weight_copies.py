"""Comparison of the graph's weights with the encoder's, bit for bit.

The items of a comparison touch a few rows of an embedding table, a bias of the keys changes no attention at all, and
sharp attention hides a wrong key. So the weights themselves are compared: those that keep a parameter's name, and
matrices, which the exporter transposes and renames.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from export.errors import ParityError
from export.external_data import load_initializer
from models.artifact.arrays import Floats, InputArray
from models.artifact.artifact_files import GRAPH_FILE

_ALIKE = 0.5
"""Fraction of equal values from which a matrix counts as a damaged copy of a parameter, not as derived from it."""


def compare(directory: Path, parameters: Mapping[str, Floats], *, half: bool = False) -> int:
    """Count the weights of the graph in `directory` that are copies of a parameter.

    Raises ParityError for one that is nearly a copy. One that is unlike was derived, a norm merged into it for example.
    """
    graph = onnx.load(directory / GRAPH_FILE, load_external_data=False).graph
    found = {tensor.name: load_initializer(tensor, directory) for tensor in graph.initializer}
    wanted = {name: values.astype(np.float16) if half else values for name, values in parameters.items()}
    transposed = [values.T for values in wanted.values() if values.ndim == 2]
    copies = {
        name: _is_copy(values, [wanted[name]] if name in wanted else _with_a_column_of(values, transposed))
        for name, values in found.items()
    }
    changed = [name for name, is_copy in copies.items() if is_copy is False]
    if changed:
        raise ParityError(f"the graph disagrees with the original: its {changed[0]} is not the encoder's")
    return sum(is_copy is True for is_copy in copies.values())


def _is_copy(found: InputArray, parameters: Sequence[InputArray]) -> bool | None:
    """Whether `found` equals one of `parameters`; False if it nearly does, None if it is something else."""
    alike = [each for each in parameters if (each.shape, each.dtype) == (found.shape, found.dtype)]
    if any(np.array_equal(each, found, equal_nan=True) for each in alike):
        return True
    return False if any((each == found).mean() > _ALIKE for each in alike) else None


def _with_a_column_of(found: InputArray, matrices: Sequence[InputArray]) -> list[InputArray]:
    """Return the `matrices` that share the first or last column of `found`: one changed value
    leaves one of them unchanged."""
    if found.ndim != 2:
        return []
    alike = (each for each in matrices if each.shape == found.shape)
    return [each for each in alike if any(np.array_equal(each[:, i], found[:, i]) for i in (0, -1))]
