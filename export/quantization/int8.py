"""int8 linear layers for CPUs: rewrites a float graph to integer products.

Weights are bytes with a scale for each output, rounded on calibration batches (`export.quantization.gptq`).
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
from export.quantization.gptq import (
    MAX_ACTIVATION,
    gptq_quantize,
    hessian_inverse_cholesky,
    smoothquant_scales,
    static_range,
    zero_point,
)
from export.quantization.linear_layers import LinearLayer, group_by_input, replace_nodes
from export.targets.base import GraphInputs
from models.artifact.arrays import Floats

MICROSOFT = "com.microsoft"
MIN_OPSET = 21
"""First opset whose QuantizeLinear takes a scale per row."""

MAX_OBSERVED_BYTES = 4 * 2**30
"""Maximum memory of observed tensors over all batches, if each were as large as the largest."""

_MIN_SCALE = np.float32(1e-12)
"""Scale of a row of zeros."""


def quantize(
    model: onnx.ModelProto, calibration: Sequence[GraphInputs], directory: Path | None = None
) -> onnx.ModelProto:
    """Return a copy of `model` with int8 linear layers. `calibration` holds batches as the graph takes them.

    `directory` is where the weights file of `model` is, for a model that has one.

    A few thousand rows are enough. Raises GraphError if there is nothing to quantize, or if the graph computes a value
    that is not finite on those batches.
    """
    if not calibration:
        raise ValueError("calibration needs at least one batch")
    _check_opset(model)
    groups = group_by_input(model.graph, directory)
    if not groups:
        raise GraphError("the graph has no linear layer to quantize")
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    normed = {node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    parts = {
        source: _quantize_group(groups[source], x, bounded=source in normed)
        for source, x in _observe_tensors(model, list(groups), calibration, directory)
    }
    _replace_layers(quantized.graph, parts)
    if all(opset.domain != MICROSOFT for opset in quantized.opset_import):
        quantized.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return quantized


@dataclass
class _QuantizedGroup:
    """Replacement of the layers that read one x: nodes that quantize x, and nodes per layer, by its output."""

    name: str
    quantize_nodes: list[onnx.NodeProto] = field(default_factory=list)
    layers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, suffix: str, value: npt.ArrayLike) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), f"{self.name}/{suffix}"))
        return self.constants[-1].name

    def node(self, operator: str, inputs: Sequence[str], suffix: str, **options: Any) -> str:
        """Add a node to `quantize_nodes`."""
        output = f"{self.name}/{suffix}"
        self.quantize_nodes.append(helper.make_node(operator, inputs, [output], **options))
        return output


def _quantize_group(layers: Sequence[LinearLayer], x: Floats, *, bounded: bool) -> _QuantizedGroup:
    """Quantize a group by x `[t, k]`, its input in calibration; `bounded` if a norm computed it."""
    part = _QuantizedGroup(f"{layers[0].input_name}/int8")
    divisors = smoothquant_scales(x, np.concatenate([layer.weights for layer in layers], axis=1))
    x = x / divisors
    smooth = part.node("Mul", [layers[0].input_name, part.constant("multipliers", 1 / divisors)], "smooth")
    quantized, zero, step, row_step = (_static_activation if bounded else _dynamic_per_token)(part, smooth, x)
    hessian_inverse = hessian_inverse_cholesky(x)
    for layer in layers:
        weights, scales = gptq_quantize(layer.weights * divisors[:, None], hessian_inverse)
        prefix = layer.output_name
        inputs = [
            quantized,
            part.constant(f"{prefix}/weights", weights),
            step,
            part.constant(f"{prefix}/scales", scales),
        ]
        steps = [("MatMulIntegerToFloat", [*inputs, zero], MICROSOFT)]
        if row_step:
            steps.append(("Mul", [f"{prefix}/0", row_step], ""))
        if layer.bias_name is not None:
            steps.append(("Add", [f"{prefix}/{len(steps) - 1}", layer.bias_name], ""))
        outputs = [*(f"{prefix}/{i}" for i in range(len(steps) - 1)), layer.output_name]
        part.layers[layer.output_name] = [
            helper.make_node(operator, names, [output], domain=domain)
            for (operator, names, domain), output in zip(steps, outputs, strict=True)
        ]
    return part


def _static_activation(part: _QuantizedGroup, smooth: str, x: Floats) -> tuple[str, str, str, str | None]:
    """Quantize with one scale for all rows, fixed in calibration; return the names of bytes, zero point, scale and no
    scale per row."""
    zero, step = static_range(x)
    names = part.constant("step", step), part.constant("zero", np.uint8(zero))
    return part.node("QuantizeLinear", [smooth, *names], "bytes"), names[1], names[0], None


def _dynamic_per_token(part: _QuantizedGroup, smooth: str, x: Floats) -> tuple[str, str, str, str | None]:
    """Quantize with a scale per row: the smallest with which the row fits 0 to 255 at the zero point."""
    zero = zero_point(x)
    zero_name, axis = part.constant("zero", np.uint8(zero)), part.constant("axis", np.array([-1]))
    above, below = (part.node(f"Reduce{end}", [smooth, axis], end.lower(), keepdims=1) for end in ("Max", "Min"))
    up = part.node("Mul", [above, part.constant("above", np.float32(1 / (MAX_ACTIVATION - zero)))], "up")
    down = part.node("Mul", [below, part.constant("below", np.float32(-1 / zero))], "down")
    scale = part.node("Max", [up, down, part.constant("silent", _MIN_SCALE)], "scale")
    zeros = part.node("Expand", [zero_name, part.node("Shape", [scale], "rows")], "zeros")
    quantized = part.node("QuantizeLinear", [smooth, scale, zeros], "bytes", axis=-1, block_size=x.shape[1])
    return quantized, zero_name, part.constant("one", np.float32(1)), scale


def _replace_layers(graph: onnx.GraphProto, parts: dict[str, _QuantizedGroup]) -> None:
    """Insert each group's quantization before its first layer, and each layer's nodes in its place."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        part = parts.get(node.input[0]) if node.input else None
        if part is None or node.output[0] not in part.layers:
            nodes.append(node)
            continue
        nodes += [*part.quantize_nodes, *part.layers[node.output[0]]]
        part.quantize_nodes.clear()
    replace_nodes(graph, nodes, [constant for part in parts.values() for constant in part.constants])


def _observe_tensors(
    model: onnx.ModelProto, names: Sequence[str], calibration: Sequence[GraphInputs], directory: Path | None
) -> Iterator[tuple[str, Floats]]:
    """Run `model` on `calibration`, and yield the rows `[t, k]` of each tensor in `names`.

    A few tensors are observed at a time, in as many runs as their size demands.
    """
    observed_model = onnx.ModelProto()
    observed_model.CopyFrom(model)
    del observed_model.graph.output[:]
    observed_model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    with tempfile.NamedTemporaryFile(
        suffix=".onnx", dir=directory
    ) as file:  # next to the weights, where they are found
        file.write(observed_model.SerializeToString())
        file.flush()
        session = onnxruntime.InferenceSession(file.name, providers=["CPUExecutionProvider"])
    largest = max(calibration, key=lambda feeds: sum(array.nbytes for array in feeds.values()))
    sizes = [x.nbytes * len(calibration) for x in session.run(list(names), largest)]
    for chunk in _groups(names, sizes):
        runs = [dict(zip(chunk, session.run(chunk, feeds), strict=True)) for feeds in calibration]
        for name in chunk:
            rows = np.concatenate([_flatten_rows(run.pop(name)) for run in runs])
            if not len(rows) or not np.isfinite(rows).all():
                raise GraphError(f"{name} is empty or not finite on the calibration batches")
            yield name, rows


def _groups(names: Sequence[str], sizes: Sequence[int]) -> Iterator[list[str]]:
    """Group neighbors, as many as fit `MAX_OBSERVED_BYTES`."""
    group: list[str] = []
    held = 0
    for name, size in zip(names, sizes, strict=True):
        if group and held + size > MAX_OBSERVED_BYTES:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    yield group


def _flatten_rows(x: Floats) -> Floats:
    """Reshape `[..., k]` -> `[t, k]`."""
    return x.reshape(-1, x.shape[-1])


def _check_opset(model: onnx.ModelProto) -> None:
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if opset < MIN_OPSET:
        raise GraphError(f"the graph is of opset {opset}; per-token quantization needs {MIN_OPSET}")
