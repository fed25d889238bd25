"""Linear layers of a graph: products of a computed value with a constant matrix."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from export.external_data import load_initializer
from export.onnx_graph_utils import drop_unused_initializers
from models.artifact.arrays import Floats

_PLAIN_GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0}
"""Attributes of a Gemm that is a linear layer; `transB` only says how its matrix is stored."""


@dataclass(frozen=True)
class LinearLayer:
    """One layer, `x @ weights + bias`. Letters: k inputs, n outputs."""

    node: onnx.NodeProto
    weights: Floats
    """Weights `[k, n]`."""

    @property
    def input_name(self) -> str:
        """Name of x."""
        return str(self.node.input[0])

    @property
    def output_name(self) -> str:
        return str(self.node.output[0])

    @property
    def bias_name(self) -> str | None:
        """Name of a Gemm's bias; a MatMul's is added by another node."""
        return str(self.node.input[2]) if len(self.node.input) > 2 and self.node.input[2] else None


def group_by_input(graph: onnx.GraphProto, directory: Path | None) -> dict[str, list[LinearLayer]]:
    """Return all linear layers, grouped by the x that they read, in the graph's order.

    `directory` is where the graph's weights file is, if it has one.
    """
    groups: dict[str, list[LinearLayer]] = {}
    for layer in _linear_layers(graph, directory):
        groups.setdefault(layer.input_name, []).append(layer)
    return groups


def replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], constants: Sequence[TensorProto]) -> None:
    """Replace the nodes of `graph`, and keep only the constants, old and new, that they read."""
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    drop_unused_initializers(graph)


def _linear_layers(graph: onnx.GraphProto, directory: Path | None) -> Iterator[LinearLayer]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.domain or node.input[0] in constants:
            continue
        matrix = constants.get(node.input[1])
        if matrix is None or len(matrix.dims) != 2 or matrix.data_type != TensorProto.FLOAT:
            continue
        options = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if any(options.get(name, value) != value for name, value in _PLAIN_GEMM.items()):
            continue
        weights = np.asarray(load_initializer(matrix, directory), np.float32)
        yield LinearLayer(node, weights.T if options.get("transB") else weights)
