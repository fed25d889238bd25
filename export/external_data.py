"""The weights file of a graph: equal tensors are stored once, aligned so that they can be memory-mapped.

A large initializer of a graph under construction holds no data. Its array is read where it lies: in the traced
encoder, or in the weights file that an earlier step wrote.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.errors import GraphError
from models.artifact.arrays import InputArray
from models.artifact.artifact_files import GRAPH_FILE, WEIGHTS_FILE

ALIGNMENT_BYTES = 4096
"""A memory page: the ONNX external data format asks for it where files are mapped."""

INLINE_BYTES = 1024
"""Smaller tensors (shapes, scalars) stay inside the graph, where shape inference can see them."""


def save_with_external_data(
    model: onnx.ModelProto, directory: Path, arrays: Mapping[str, InputArray] | None = None
) -> None:
    """Write the graph into `directory`, its large initializers into one file next to it, and leave `model` as written.

    `arrays` holds initializers by name; the others are read from `model`, or from the weights file that is in
    `directory`, which is replaced. Raises GraphError for a graph that is not valid ONNX.
    """
    arrays = arrays or {}
    offsets: dict[bytes, int] = {}
    new = directory / f"{WEIGHTS_FILE}.new"
    with new.open("wb") as file:
        for tensor in model.graph.initializer:
            data = arrays[tensor.name] if tensor.name in arrays else load_initializer(tensor, directory)
            if data.nbytes < INLINE_BYTES:
                continue
            raw = np.ascontiguousarray(data).data.cast("B")
            key = hashlib.sha256(raw).digest()
            if key not in offsets:
                file.seek(-file.tell() % ALIGNMENT_BYTES, 1)
                offsets[key] = file.tell()
                file.write(raw)
            _set_external(tensor, offsets[key], len(raw))
    new.replace(directory / WEIGHTS_FILE)
    (directory / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))
    try:
        onnx.checker.check_model(directory / GRAPH_FILE)  # by its path: a graph in memory may not exceed 2 GB
    except onnx.checker.ValidationError as error:
        raise GraphError(f"the graph is not valid ONNX: {str(error).splitlines()[0]}") from error


def load_initializer(tensor: TensorProto, directory: Path | None) -> InputArray:
    """Return the values of an initializer; one in the weights file of `directory` is mapped, not read."""
    if directory is None or tensor.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    location = {entry.key: entry.value for entry in tensor.external_data}
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.memmap(directory / location["location"], dtype, "r", int(location["offset"]), tuple(tensor.dims))


def _set_external(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
