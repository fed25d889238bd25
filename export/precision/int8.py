"""Linear layers in bytes, for CPUs: a graph in, the same graph with whole-number products out.

Weights are bytes with a scale for each output, rounded on calibration batches (`export.precision.rounding`).
Activations become bytes while the graph runs. What a LayerNormalization made has a bounded range, which calibration
tells once; all else gets a scale for each row, that is for each token, so that none is clipped for being louder than
calibration was. Either way an item's answer does not depend on what it is batched with, as it would with one scale a
batch. Attention, norms and embeddings stay as they are.

of a norm  x * (1 / divisors) -> QuantizeLinear -> MatMulIntegerToFloat
other      x * (1 / divisors) -> ReduceMax, ReduceMin -> QuantizeLinear by row -> MatMulIntegerToFloat -> * row's scale

MatMulIntegerToFloat is ONNX Runtime's own operator; the rest is standard. Layers that read the same x share its
bytes. Letters: t rows, k inputs of a layer, n outputs.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export.errors import GraphError
from export.precision.linear import Linear, by_source, replace
from export.precision.rounding import ACTIVATION_LIMIT, rounded, smoothing, spread, whole_range, zero_point
from export.subjects.base import Feeds
from models.contract.arrays import Floats

MICROSOFT = "com.microsoft"
OLDEST_OPSET = 21
"""The first whose QuantizeLinear takes a scale for each row."""

OBSERVED_BYTES = 4 * 2**30
"""The most that observed tensors of all batches may take at once, were each batch as large as the largest."""

_SILENT = np.float32(1e-12)
"""Scale of a row of zeros."""


def quantize(model: onnx.ModelProto, calibration: Sequence[Feeds], directory: Path | None = None) -> onnx.ModelProto:
    """A copy of `model` whose linear layers multiply bytes. `calibration` holds batches as the graph takes them.

    `directory` is where the weights file of `model` is, for a model that has one.

    A few thousand rows are enough. Raises GraphError if there is nothing to quantize, or if the graph computes a value
    that is not finite on those batches.
    """
    if not calibration:
        raise ValueError("calibration needs at least one batch")
    _check_opset(model)
    groups = by_source(model.graph, directory)
    if not groups:
        raise GraphError("the graph has no linear layer to quantize")
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    normed = {node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    parts = {
        source: _bytes(groups[source], x, bounded=source in normed)
        for source, x in _observe(model, list(groups), calibration, directory)
    }
    _rewrite(quantized.graph, parts)
    if all(opset.domain != MICROSOFT for opset in quantized.opset_import):
        quantized.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return quantized


@dataclass
class _Part:
    """What stands in for the layers of one x: nodes that make its bytes, and nodes for each layer, by its output."""

    name: str
    before: list[onnx.NodeProto] = field(default_factory=list)
    layers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, suffix: str, value: npt.ArrayLike) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"{self.name}/{suffix}"))
        return self.constants[-1].name

    def node(self, operator: str, inputs: Sequence[str], suffix: str, **options: Any) -> str:
        """Add a node to `before`."""
        output = f"{self.name}/{suffix}"
        self.before.append(helper.make_node(operator, inputs, [output], **options))
        return output


def _bytes(layers: Sequence[Linear], x: Floats, *, bounded: bool) -> _Part:
    """x `[t, k]` as calibration saw it; `bounded` if a norm made it."""
    part = _Part(f"{layers[0].source}/int8")
    divisors = smoothing(x, np.concatenate([layer.weights for layer in layers], axis=1))
    x = x / divisors
    smooth = part.node("Mul", [layers[0].source, part.constant("multipliers", 1 / divisors)], "smooth")
    whole, zero, step, row_step = (_by_range if bounded else _by_row)(part, smooth, x)
    corrections = spread(x)
    for layer in layers:
        weights, scales = rounded(layer.weights * divisors[:, None], corrections)
        prefix = layer.target
        inputs = [whole, part.constant(f"{prefix}/weights", weights), step, part.constant(f"{prefix}/scales", scales)]
        steps = [("MatMulIntegerToFloat", [*inputs, zero], MICROSOFT)]
        if row_step:
            steps.append(("Mul", [f"{prefix}/0", row_step], ""))
        if layer.bias is not None:
            steps.append(("Add", [f"{prefix}/{len(steps) - 1}", layer.bias], ""))
        outputs = [*(f"{prefix}/{i}" for i in range(len(steps) - 1)), layer.target]
        part.layers[layer.target] = [
            helper.make_node(operator, names, [output], domain=domain)
            for (operator, names, domain), output in zip(steps, outputs, strict=True)
        ]
    return part


def _by_range(part: _Part, smooth: str, x: Floats) -> tuple[str, str, str, str | None]:
    """One scale for all rows, known beforehand -> names of bytes, zero point, scale and no scale of the rows."""
    zero, step = whole_range(x)
    names = part.constant("step", step), part.constant("zero", np.uint8(zero))
    return part.node("QuantizeLinear", [smooth, *names], "bytes"), names[1], names[0], None


def _by_row(part: _Part, smooth: str, x: Floats) -> tuple[str, str, str, str | None]:
    """A scale for each row: the smallest by which it fits between 0 and 255 with its zero at the zero point."""
    zero = zero_point(x)
    zero_name, axis = part.constant("zero", np.uint8(zero)), part.constant("axis", np.array([-1]))
    above, below = (part.node(f"Reduce{end}", [smooth, axis], end.lower(), keepdims=1) for end in ("Max", "Min"))
    up = part.node("Mul", [above, part.constant("above", np.float32(1 / (ACTIVATION_LIMIT - zero)))], "up")
    down = part.node("Mul", [below, part.constant("below", np.float32(-1 / zero))], "down")
    scale = part.node("Max", [up, down, part.constant("silent", _SILENT)], "scale")
    zeros = part.node("Expand", [zero_name, part.node("Shape", [scale], "rows")], "zeros")
    whole = part.node("QuantizeLinear", [smooth, scale, zeros], "bytes", axis=-1, block_size=x.shape[1])
    return whole, zero_name, part.constant("one", np.float32(1)), scale


def _rewrite(graph: onnx.GraphProto, parts: dict[str, _Part]) -> None:
    """Put each part's bytes before its first layer, and each layer's nodes in its place."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        part = parts.get(node.input[0]) if node.input else None
        if part is None or node.output[0] not in part.layers:
            nodes.append(node)
            continue
        nodes += [*part.before, *part.layers[node.output[0]]]
        part.before.clear()
    replace(graph, nodes, [constant for part in parts.values() for constant in part.constants])


def _observe(
    model: onnx.ModelProto, names: Sequence[str], calibration: Sequence[Feeds], directory: Path | None
) -> Iterator[tuple[str, Floats]]:
    """Run `model` on `calibration`, and give the rows `[t, k]` of each tensor in `names`.

    A few tensors are observed at a time, in as many runs as their size demands.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    with tempfile.NamedTemporaryFile(
        suffix=".onnx", dir=directory
    ) as file:  # next to the weights, where they are found
        file.write(watched.SerializeToString())
        file.flush()
        session = onnxruntime.InferenceSession(file.name, providers=["CPUExecutionProvider"])
    largest = max(calibration, key=lambda feeds: sum(array.nbytes for array in feeds.values()))
    sizes = [x.nbytes * len(calibration) for x in session.run(list(names), largest)]
    for few in _groups(names, sizes):
        runs = [dict(zip(few, session.run(few, feeds), strict=True)) for feeds in calibration]
        for name in few:
            rows = np.concatenate([_rows(run.pop(name)) for run in runs])
            if not len(rows) or not np.isfinite(rows).all():
                raise GraphError(f"{name} is empty or not finite on the calibration batches")
            yield name, rows


def _groups(names: Sequence[str], sizes: Sequence[int]) -> Iterator[list[str]]:
    """Neighbors together, as many as have `OBSERVED_BYTES` between them."""
    group: list[str] = []
    held = 0
    for name, size in zip(names, sizes, strict=True):
        if group and held + size > OBSERVED_BYTES:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    yield group


def _rows(x: Floats) -> Floats:
    """[..., k] -> [t, k]"""
    return x.reshape(-1, x.shape[-1])


def _check_opset(model: onnx.ModelProto) -> None:
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if opset < OLDEST_OPSET:
        raise GraphError(f"the graph is of opset {opset}; quantizing by row needs {OLDEST_OPSET}")
