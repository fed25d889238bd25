"""The weights beside the graph: equal tensors are stored once, aligned so that they can be memory-mapped."""

import hashlib
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper

from export.errors import GraphError
from models.contract.artifact import GRAPH_FILE, WEIGHTS_FILE

ALIGNMENT_BYTES = 4096
"""A memory page: the ONNX external data format asks for it where files are mapped."""

INLINE_BYTES = 1024
"""Smaller tensors (shapes, scalars) stay inside the graph, where shape inference can see them."""


def write(model: onnx.ModelProto, directory: Path) -> None:
    """Write the graph into `directory`, its large initializers into one file beside it. Raises GraphError.

    The error is for a graph that is no valid ONNX.
    """
    offsets: dict[str, int] = {}
    with (directory / WEIGHTS_FILE).open("wb") as file:
        for tensor in model.graph.initializer:
            data = numpy_helper.to_array(tensor).tobytes()
            if len(data) < INLINE_BYTES:
                continue
            key = hashlib.sha256(data).hexdigest()
            if key not in offsets:
                file.seek(-file.tell() % ALIGNMENT_BYTES, 1)
                offsets[key] = file.tell()
                file.write(data)
            _point_at(tensor, offsets[key], len(data))
    (directory / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))
    try:
        onnx.checker.check_model(directory / GRAPH_FILE)  # by its path, for no graph in memory may be past 2 GB
    except onnx.checker.ValidationError as error:
        raise GraphError(f"the graph is not valid ONNX: {str(error).splitlines()[0]}") from error


def _point_at(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
