"""One weights file for both graphs: equal tensors are stored once, aligned so that they can be memory-mapped."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, numpy_helper

from models.contract.artifact import WEIGHTS_FILE
from models.contract.manifest import GraphFile

ALIGNMENT_BYTES = 4096
"""A memory page: the ONNX external data format asks for it where files are mapped."""

INLINE_BYTES = 1024
"""Smaller tensors (shapes, scalars) stay inside the graph, where shape inference can see them."""


def share_weights(graphs: Mapping[GraphFile, onnx.ModelProto], directory: Path) -> None:
    """Write `graphs` by file name into `directory`, their large initializers into one file beside them."""
    offsets: dict[str, int] = {}
    with (directory / WEIGHTS_FILE).open("wb") as file:
        for model in graphs.values():
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
    for name, model in graphs.items():
        (directory / name).write_bytes(model.SerializeToString(deterministic=True))


def _point_at(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
